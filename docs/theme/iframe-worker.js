/* The search runs in a worker, and browsers start none for pages that are opened as files. Then a hidden frame does the work:
   it loads the worker's script, and messages are events on either side. "iframe-worker" in the name tells the theme's plugin
   for offline sites that it need not fetch one from elsewhere. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const inside = frame.contentWindow
      const base = new URL(url, document.baseURI)
      const load = address => new Promise((done, failed) => {
        const script = frame.contentDocument.createElement("script")
        script.onload = done
        script.onerror = failed
        script.src = new URL(address, base)
        frame.contentDocument.head.appendChild(script)
      })
      inside.IFrameWorker = Worker
      inside.importScripts = (...addresses) => addresses.reduce((before, one) => before.then(() => load(one)), Promise.resolve())
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.inside = inside
      this.frame = frame
      this.ready = load(base)
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {
      this.frame.remove()
    }
  }
}
