// The only arithmetic done in a page: ranks, tiers and means under the reader's filters and weights, from bootstrap
// replicates made in Python. Mirrors bench/publish/rerank.py and is tested against it on the same numbers.
medssl.rank = (() => {
  const SCALE = 32767;

  // Mean over cells with weights, kinds weighted alike; cells without a value are left out. NaN when none is left.
  function mean(kinds, weights, at) {
    let total = 0, present = 0;
    for (const columns of kinds) {
      let sum = 0, mass = 0;
      for (const c of columns) {
        const v = at(c);
        if (weights[c] > 0 && v === v) { sum += weights[c] * v; mass += weights[c]; }
      }
      if (mass > 0) { total += sum / mass; present += 1; }
    }
    return present ? total / present : NaN;
  }

  // Linear-interpolation quantile of a sorted array, as numpy's default.
  function quantile(sorted, q) {
    const at = q * (sorted.length - 1), low = Math.floor(at), high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
  }

  // data: {cells: E x C numbers, shorts: Float32Array (E, C, R) of (score + 1) x SCALE or NaN, kinds: [[column, ...], ...], replicates: R}
  // -> Float64Array (E, R) of means and Float64Array (E) of points.
  function totals(data, weights) {
    const encoders = data.cells.length, columns = weights.length, r = data.replicates;
    const points = new Float64Array(encoders), spread = new Float64Array(encoders * r);
    for (let e = 0; e < encoders; e++) {
      const cells = data.cells[e];
      points[e] = mean(data.kinds, weights, (c) => (cells[c] === null ? NaN : cells[c]));
      const share = shares(data.kinds, weights, cells);
      spread.fill(-share.reduce((sum, v) => sum + v, 0), e * r, (e + 1) * r);
      for (let c = 0; c < columns; c++) {
        if (share[c]) add(spread, e * r, data.shorts, (e * columns + c) * r, r, share[c] / SCALE);
      }
    }
    return { points, spread };
  }

  function add(spread, to, shorts, from, r, factor) {
    for (let b = 0; b < r; b++) spread[to + b] += shorts[from + b] * factor;
  }

  // Share of each cell in the mean of an encoder, given which of its cells hold a value.
  function shares(kinds, weights, cells) {
    const share = new Float64Array(weights.length);
    const alive = kinds.map((columns) => columns.filter((c) => weights[c] > 0 && cells[c] !== null)).filter((k) => k.length);
    for (const columns of alive) {
      const mass = columns.reduce((sum, c) => sum + weights[c], 0);
      for (const c of columns) share[c] = weights[c] / mass / alive.length;
    }
    return share;
  }

  // Ranks with 95 % intervals, and tiers, of the encoders `pool` (indices) among themselves. Equals share the better
  // rank; one alone has none; without replicates of everyone there are no intervals (low and high are null).
  function standings({ points, spread }, pool, r) {
    const order = pool.filter((e) => points[e] === points[e]).sort((a, b) => points[b] - points[a] || a - b);
    if (order.length < 2) return [];
    const places = places_of(order, spread, r), out = [];
    let tier = 0, head = -1, rank = 0;
    order.forEach((e, i) => {
      if (head < 0 || clear(gaps(spread, head, e, r))) { tier += 1; head = e; }
      if (i === 0 || points[e] !== points[order[i - 1]]) rank = i + 1;
      const sorted = places?.[i].sort();
      out.push({
        encoder: e, rank, tier,
        low: sorted ? sorted[Math.floor(0.025 * (r - 1))] : null, high: sorted ? sorted[Math.ceil(0.975 * (r - 1))] : null,
      });
    });
    return out;
  }

  // Rank of each encoder in each replicate, or null where replicates are unknown.
  function places_of(order, spread, r) {
    const n = order.length, places = order.map(() => new Uint16Array(r)), keys = new Float64Array(n);
    const base = 2 ** Math.ceil(Math.log2(n + 1));
    if (order.some((e) => spread[e * r] !== spread[e * r])) return null;
    for (let b = 0; b < r; b++) {
      // Value and index in one exact integer, so that the typed array's own sort does the ranking.
      for (let i = 0; i < n; i++) keys[i] = Math.round((1 - spread[order[i] * r + b]) * 2 ** 36) * base + i;
      keys.sort();
      for (let k = 0, rank = 1, before = -1; k < n; k++) {
        const value = Math.floor(keys[k] / base);
        if (value !== before) rank = k + 1;
        before = value;
        places[keys[k] - value * base][b] = rank;
      }
    }
    return places;
  }

  // Whether the 95 % interval of the differences excludes 0. They are sorted only where counting signs cannot tell.
  function clear(gaps) {
    const low = Math.floor(0.025 * (gaps.length - 1));
    let above = 0, below = 0;
    for (const gap of gaps) { above += gap > 0; below += gap < 0; }
    const others = gaps.length - Math.max(above, below);
    if (others <= low) return true;
    if (others > low + 2) return false;
    gaps.sort();
    return quantile(gaps, 0.025) > 0 || quantile(gaps, 0.975) < 0;
  }

  const gaps = (spread, a, b, r) => {
    const out = new Float64Array(r);
    for (let k = 0; k < r; k++) out[k] = spread[a * r + k] - spread[b * r + k];
    return out;
  };

  function interval(spread, e, r) {
    const sorted = spread.slice(e * r, (e + 1) * r).sort();
    return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
  }
  return { mean, totals, standings, interval, quantile, gaps, SCALE };
})();
