// The search runs in a worker. Browsers refuse workers to a page that is opened as a file, so there a
// frame that nobody sees runs the same script.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.append(this.frame)
      this.scope = this.frame.contentWindow
      this.scope.postMessage = data => this.answer(structuredClone(data))
      this.ready = new Promise((resolve, reject) => {
        const script = this.scope.document.createElement("script")
        script.onload = resolve
        script.onerror = reject
        script.src = url
        this.scope.document.body.append(script)
      })
      this.ready.catch(() => this.onerror?.(new Event("error", { cancelable: true })))
    }

    postMessage(data) {
      const copy = structuredClone(data)
      this.ready.then(() => this.scope?.onmessage({ data: copy }), () => {})
    }

    answer(data) {
      if (this.scope) this.onmessage?.({ data })
    }

    terminate() {
      this.scope = null
      this.frame.remove()
    }
  }
}
