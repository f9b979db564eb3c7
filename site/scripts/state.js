// The view in the address: "#p=hybrid,contrastive&w.ct=0&sort=score", so that a view can be shared.
medssl.state = (() => {
  function read() {
    const values = {};
    for (const part of location.hash.slice(1).split("&")) {
      const at = part.indexOf("=");
      if (at < 1) continue;
      try { values[decodeURIComponent(part.slice(0, at))] = decodeURIComponent(part.slice(at + 1)); } catch { /* not ours */ }
    }
    return values;
  }

  const text = (values) => Object.entries(values)
    .filter(([, v]) => v !== "" && v !== undefined)
    .map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v).replaceAll("%2C", ",")}`).join("&");

  function write(values) {
    const hash = text(values);
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  // Data that a script file hands over; works from file:// where fetch does not.
  const waiting = {};
  function load(name, address) {
    return waiting[address]?.promise ?? (waiting[address] = (() => {
      const entry = {};
      entry.promise = new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = address;
        script.onload = () => (name in medssl.data ? resolve(medssl.data[name]) : reject(new Error(address)));
        script.onerror = () => reject(new Error(address));
        document.head.append(script);
      });
      return entry;
    })()).promise;
  }
  medssl.data = {};
  medssl.receive = (value) => { medssl.data[value.name] = value; };

  // Little-endian unsigned 16-bit numbers from base64, as floats (which sum faster) with NaN for the missing 65535.
  function shorts(base64) {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const out = new Float32Array(bytes.length / 2);
    for (let i = 0; i < out.length; i++) {
      const q = view.getUint16(2 * i, true);
      out[i] = q === 65535 ? NaN : q;
    }
    return out;
  }
  return { read, write, text, load, shorts };
})();
