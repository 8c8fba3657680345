// Picture files that are chosen, photographed, dropped or pasted.

/**
 * @param {HTMLFormElement} form
 * @param {(files: File[]) => void} onFiles
 */
export function listenForFiles(form, onFiles) {
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
}
