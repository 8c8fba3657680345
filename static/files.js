// Picture files that are chosen, photographed, dropped or pasted.

/**
 * @param {HTMLFormElement} form
 * @param {{ onFiles: (files: File[]) => void, onNoFile: () => void }} handlers `onNoFile`: the form was submitted without files
 */
export function listenForFiles(form, { onFiles, onNoFile }) {
  /** @type {HTMLInputElement[]} */
  const inputs = [...form.querySelectorAll("input")].filter((input) => input.type === "file");
  const take = (/** @type {Iterable<File> | null | undefined} */ files) => {
    const list = [...(files ?? [])];
    if (list.length) onFiles(list);
    return list.length > 0;
  };

  for (const input of inputs) {
    input.addEventListener("change", () => {
      // Only one input holds files at a time.
      for (const other of inputs) if (other !== input) other.value = "";
      take(input.files);
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!take(inputs.flatMap((input) => [...(input.files ?? [])]))) onNoFile();
  });
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
