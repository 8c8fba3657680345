// Pictures, however they come: chosen, photographed, dropped or pasted.

/** Call `read` with a list of files whenever some have come, and `none` where the form was sent without any. */
export function takeFiles(form, { read, none }) {
  const inputs = [...form.querySelectorAll("input[type=file]")];
  const chosen = () => inputs.flatMap((input) => [...input.files]);
  const readThose = (files) => { if (files.length) read([...files]); };

  for (const input of inputs) {
    input.addEventListener("change", () => {
      // Only one of them holds what is to be read.
      for (const other of inputs) if (other !== input) other.value = "";
      readThose(input.files);
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (chosen().length) read(chosen());
    else none();
  });
  addEventListener("paste", (event) => readThose(event.clipboardData?.files ?? []));
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
    readThose(event.dataTransfer?.files ?? []);
  });
}
