// Copies a command. The buttons are seen only where this runs; their place is kept, so that nothing moves.
(function () {
  "use strict";
  document.documentElement.classList.add("copies");
  const told = document.createElement("p");
  told.className = "sr";
  told.setAttribute("role", "status");
  document.body.append(told);

  async function copy(code) {
    if (navigator.clipboard) {
      try { return await navigator.clipboard.writeText(code.textContent); } catch (error) { /* not allowed here: the old way */ }
    }
    getSelection().selectAllChildren(code);
    if (!document.execCommand("copy")) throw new Error("not copied");
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const code = button.parentElement.querySelector("code");
    let word = "Copied";
    // Left selected where it cannot be copied, so that a key does it.
    try { await copy(code); } catch (error) { word = "Selected"; getSelection().selectAllChildren(code); }
    button.textContent = word;
    told.textContent = word;
    setTimeout(() => { button.textContent = "Copy"; told.textContent = ""; }, 2000);
  });
})();
