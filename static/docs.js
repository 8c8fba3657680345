// Swagger UI for the API. No validator badge: it would load from another host.
const domNode = document.getElementById("docs");
window.SwaggerUIBundle({
  domNode,
  url: domNode?.dataset.document,
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
});
