// Picture files that are chosen, photographed, dropped, pasted or samples.

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement} samples buttons with addresses of pictures
 * @param {(files: File[]) => void} onFiles
 * @param {() => void} onMissing called when a sample cannot be loaded
 */
export function listenForFiles(form, samples, onFiles, onMissing) {
  const take = (/** @type {Iterable<File> | null | undefined} */ files) => {
    const list = [...(files ?? [])];
    if (list.length) onFiles(list);
  };

  for (const input of form.querySelectorAll("input")) {
    input.addEventListener("change", () => {
      take(input.files);
      input.value = ""; // or else choosing the same file again would be no change
    });
  }
  addEventListener("paste", (event) => {
    take(event.clipboardData?.files);
  });
  // Without this the browser would leave the page and open the file.
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    take(event.dataTransfer?.files);
  });
  samples.addEventListener("click", async ({ target }) => {
    const address = target instanceof Element && target.closest("button")?.value;
    if (!address) return;
    const response = await fetch(address).catch(() => null);
    if (response?.ok) onFiles([new File([await response.blob()], address)]);
    else onMissing();
  });
}
