/* The sandbox: trained policies drive a cart in the page, and the reader pushes it.

   No library, no network, no kernel. The policies come from sandbox_policies.js beside this file,
   which the build writes from results/sandbox (book/sandbox_page.py). tests/test_sandbox_page.py
   compares physics, policies and KL with course_lib.

   A state is [x, v, angle, spin]: m, m/s, rad (0 is upright), rad/s, in float64. A policy sees the
   observation in float32. A push is a force on the cart in N, positive to the right. */

"use strict";

window.sandbox = (() => {
  const clip = (value, low, high) => Math.min(Math.max(value, low), high);
  const VIEW = 5.5; // width of the picture in m: the track of either task, and a little

  // 1. Physics -------------------------------------------------------------------------------------
  // Explicit Euler, as in the library: positions move with the old velocities. The operations stand
  // in the library's order, so that rounding agrees as well. The reader's push comes on top.

  const euler = ([x, v, angle, spin], dt, xAcc, angleAcc) =>
    [x + dt * v, v + dt * xAcc, angle + dt * spin, spin + dt * angleAcc];

  const normal = random => // one draw, by Box and Muller
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  // Constants and equations: course_lib/experience/envs/swingup.py (gym-cartpole-swingup 0.1.4).
  const swingUp = {
    title: "Swing-up", dt: 0.01, limit: 500, track: 2.4, length: 0.6, lean: -1, below: 0.8, above: 0.8,

    reset: random => [0, 0, Math.PI, 0].map(mean => Math.fround(mean + 0.2 * normal(random))),
    observe: ([x, v, angle, spin]) =>
      Float32Array.of(x, v, Math.cos(angle), Math.sin(angle), spin),
    force: action => 10 * clip(Math.fround(action), -1, 1),

    step(state, action, push = 0) {
      const [, v, angle, spin] = state;
      const gravity = 9.82, pole = 0.5, total = 1.0, length = 0.6, friction = 0.1;
      const force = swingUp.force(action) + push - friction * v;
      const cos = Math.cos(angle), sin = Math.sin(angle);
      const swing = pole * length * (spin * spin) * sin;
      const inertia = 4 * total - 3 * pole * (cos * cos);
      const xAcc = (4 * force - 2 * swing + 3 * pole * gravity * sin * cos) / inertia;
      const angleAcc =
        (6 * force * cos - 3 * swing * cos + 6 * total * gravity * sin) / (length * inertia);
      const next = euler(state, swingUp.dt, xAcc, angleAcc);
      const reward = Math.fround(Math.cos(Math.fround(next[2]))); // in float32, like the library's
      return { state: next, reward, failure: Math.abs(next[0]) > 2.4 ? "the cart left the track" : "" };
    },
  };

  // Constants and equations: Gymnasium's CartPole-v1, and course_lib/experience/envs/cartpole.py.
  const cartPole = {
    title: "CartPole", dt: 0.02, limit: 500, track: 2.4, length: 1.0, lean: 1, below: 0.35, above: 1.25,

    reset: random => [0, 0, 0, 0].map(() => 0.1 * random() - 0.05),
    observe: state => Float32Array.from(state),
    force: action => (action === 1 ? 10 : -10),

    step(state, action, push = 0) {
      const [, , angle, spin] = state;
      const gravity = 9.8, pole = 0.1, total = pole + 1.0, half = 0.5; // half: hinge to centre
      const force = cartPole.force(action) + push;
      const cos = Math.cos(angle), sin = Math.sin(angle);
      const forward = (force + pole * half * (spin * spin) * sin) / total;
      const angleAcc =
        (gravity * sin - cos * forward) / (half * (4 / 3 - pole * (cos * cos) / total));
      const xAcc = forward - pole * half * angleAcc * cos / total;
      const next = euler(state, cartPole.dt, xAcc, angleAcc);
      const failure = Math.abs(next[0]) > 2.4 ? "the cart left the track"
        : Math.abs(next[2]) > 12 * 2 * Math.PI / 360 ? "the pole fell beyond 12 degrees" : "";
      return { state: next, reward: 1, failure };
    },
  };

  const tasks = { "CartPoleSwingUp-v0": swingUp, "CartPole-v1": cartPole };

  /* One episode. Like the library it tells a failure, which terminates it, from the time limit. */
  class Episode {
    constructor(task, state) {
      Object.assign(this, { task, state, steps: 0, return: 0, failure: "", truncated: false });
    }

    advance(action, push = 0) {
      const { state, reward, failure } = this.task.step(this.state, action, push);
      Object.assign(this, { state, failure, steps: this.steps + 1, return: this.return + reward });
      this.truncated = this.steps >= this.task.limit;
    }

    get end() { // why it ended; "" while it runs
      return this.failure || (this.truncated ? "the time limit was reached" : "");
    }
  }

  // 2. Policies ------------------------------------------------------------------------------------
  // A policy: sizes [O, ..., K], activation, theta (float32: of every layer first the weights (out, in),
  // then the biases, as in course_lib/perceptron.py), and for a Gaussian the number logStd.

  const activations = { tanh: Math.tanh, relu: x => Math.max(x, 0) };
  const decode = base64 => new Float32Array(Uint8Array.from(atob(base64), c => c.charCodeAt(0)).buffer);

  /* The network's outputs (K) at an observation (O). */
  function forward({ sizes, activation, theta }, observation) {
    let layer = observation, start = 0;
    for (let i = 1; i < sizes.length; i++) {
      const inputs = layer, biases = start + inputs.length * sizes[i];
      layer = Float32Array.from({ length: sizes[i] }, (_, j) => {
        const row = start + j * inputs.length;
        const sum = inputs.reduce((sum, x, k) => sum + theta[row + k] * x, theta[biases + j]);
        return i < sizes.length - 1 ? activations[activation](sum) : sum;
      });
      start = biases + sizes[i];
    }
    return layer;
  }

  /* The policy's distribution: {mean, logStd} of one real action, or {logProbs} of K choices. */
  function distribution(policy, observation) {
    const outputs = forward(policy, observation);
    if (policy.logStd !== null) return { mean: outputs[0], logStd: policy.logStd };
    const top = Math.max(...outputs);
    const logSum = top + Math.log(outputs.reduce((sum, x) => sum + Math.exp(x - top), 0));
    return { logProbs: Array.from(outputs, x => x - logSum) };
  }

  /* The mean of a Gaussian; the most probable of the choices. */
  function mostProbable({ mean, logProbs }) {
    return logProbs ? logProbs.indexOf(Math.max(...logProbs)) : mean;
  }

  /* A draw; `random` gives uniform numbers from [0, 1). */
  function sample({ mean, logStd, logProbs }, random) {
    if (!logProbs) return mean + Math.exp(logStd) * normal(random);
    let left = random();
    const chosen = logProbs.findIndex(logProb => (left -= Math.exp(logProb)) < 0);
    return chosen < 0 ? logProbs.length - 1 : chosen; // rounding may leave a little
  }

  /* KL(p || q) in nats, exact: course_lib/distributions.py. */
  function kl(p, q) {
    if (p.logProbs) {
      return p.logProbs.reduce((sum, log, i) => sum + Math.exp(log) * (log - q.logProbs[i]), 0);
    }
    const shift = (p.mean - q.mean) * Math.exp(-q.logStd);
    return 0.5 * (Math.exp(2 * (p.logStd - q.logStd)) + shift * shift - 1) + q.logStd - p.logStd;
  }

  // 3. The page's state ----------------------------------------------------------------------------

  const policies = window.SANDBOX_POLICIES.map(policy => ({ ...policy, theta: decode(policy.theta) }));
  const root = document.getElementById("sandbox");
  const part = Object.fromEntries([...root.querySelectorAll("[data-is]")].map(e => [e.dataset.is, e]));
  const page = {
    task: null, episode: null, policy: null, other: null,
    playing: false, action: null, kls: [], // KL in the states of this episode, for one pair of policies
    held: 0, pulse: 0, target: null, // the reader's push: a direction, its steps left, where a drag pulls
    owed: 0, before: 0, rest: 0, spoken: -Infinity, // times in s (spoken and before in ms)
  };

  const here = policy => distribution(policy, page.task.observe(page.episode.state));
  const strength = () => part.strength.valueAsNumber;

  function push() {
    const pulled = page.target !== null && clip((page.target - page.episode.state[0]) / 0.5, -1, 1);
    return strength() * (pulled || page.held || Math.sign(page.pulse));
  }

  const noteKl = () => page.kls.push(kl(here(page.policy), here(page.other)));

  function startEpisode() {
    const episode = new Episode(page.task, page.task.reset(Math.random));
    Object.assign(page, { episode, action: null, kls: [], pulse: 0, rest: 0, owed: 0 });
    noteKl();
  }

  function advance() {
    const now = here(page.policy);
    page.action = part.sampling.value === "sampled" ? sample(now, Math.random) : mostProbable(now);
    page.episode.advance(page.action, push());
    page.pulse -= Math.sign(page.pulse);
    noteKl();
    if (page.episode.end && performance.now() - page.spoken > 5000) say();
  }

  // 4. What is shown -------------------------------------------------------------------------------

  const fixed = (x, digits) => x.toFixed(digits).replace("-", "−");
  const signed = (x, digits) => (x > 0 ? "+" : "") + fixed(x, digits);
  const nats = x => (x < 1e-6 ? "0" : x >= 1000 ? x.toFixed(0) : x.toPrecision(3)) + " nats";
  const side = force => `${fixed(Math.abs(force), 1)} N ${force < 0 ? "left" : "right"}`;
  const percent = logProb => `${(100 * Math.exp(logProb)).toFixed(1)} %`;

  const describe = d => d.logProbs
    ? `left ${percent(d.logProbs[0])}, right ${percent(d.logProbs[1])}`
    : `mean ${signed(d.mean, 2)}, sigma ${Math.exp(d.logStd).toFixed(2)}`;

  function describeAction(action) {
    const force = side(page.task.force(action));
    return page.policy.logStd === null ? force : `${signed(action, 2)}: ${force}`;
  }

  /* Say the scene in words to who cannot see it; seldom, for it interrupts. */
  function say() {
    const { episode, task, policy, playing } = page, [x, , angle] = episode.state;
    const turned = Math.abs(Math.atan2(Math.sin(angle), Math.cos(angle))) * 180 / Math.PI;
    const what = episode.end ? `The episode ended: ${episode.end}.` : playing ? "Playing." : "Paused.";
    const text = `${task.title}, ${policy.title}. ${what} Step ${episode.steps}, return ` +
      `${fixed(episode.return, 1)}, cart at ${fixed(x, 2)} m, pole ${turned.toFixed(0)} degrees from upright.`;
    part.summary.textContent = text;
    part.stage.setAttribute("aria-label", text);
    page.spoken = performance.now();
  }

  function show() {
    const { episode, kls } = page;
    const texts = {
      return: fixed(episode.return, 2),
      step: `${episode.steps} of ${episode.task.limit}`,
      action: page.action === null ? "none yet" : describeAction(page.action),
      here: describe(here(page.policy)),
      there: describe(here(page.other)),
      kl: nats(kls[kls.length - 1]),
      mean: nats(kls.reduce((a, b) => a + b, 0) / kls.length),
      largest: nats(Math.max(...kls)),
      end: episode.end && `Ended: ${episode.end}.`,
      play: page.playing ? "Pause" : "Play",
      newtons: `${strength()} N`,
    };
    for (const name in texts) {
      if (part[name].textContent !== texts[name]) part[name].textContent = texts[name];
    }
    drawStage();
    drawKl();
  }

  /* A context whose unit is a CSS pixel, on a cleared canvas; with its size and the page's colours. */
  function canvasOf(element) {
    const scale = window.devicePixelRatio || 1, width = element.clientWidth, height = element.clientHeight;
    element.width = Math.round(width * scale);
    element.height = Math.round(height * scale);
    const context = element.getContext("2d"), style = getComputedStyle(root);
    context.scale(scale, scale);
    context.lineCap = "round";
    const colour = name => style.getPropertyValue(`--sandbox-${name}`).trim();
    const line = (name, width, ...points) => {
      context.strokeStyle = colour(name);
      context.lineWidth = width;
      context.beginPath();
      points.forEach(point => context.lineTo(...point));
      context.stroke();
    };
    return { context, width, height, colour, line };
  }

  function drawStage() {
    const { task, episode } = page, [x, , angle] = episode.state;
    const { context, width, height, colour, line } = canvasOf(part.stage);
    const metre = width / VIEW, middle = (height + (task.above - task.below) * metre) / 2;
    const at = (right, up) => [width / 2 + right * metre, middle - up * metre];
    line("track", 2, at(-task.track - 0.2, 0), at(task.track + 0.2, 0));
    for (const stop of [-task.track, task.track]) line("track", 3, at(stop, -0.12), at(stop, 0.12));
    context.fillStyle = colour("cart");
    context.fillRect(...at(x - 0.2, 0.1), 0.4 * metre, 0.2 * metre);
    const hinge = at(x, 0), wide = Math.max(0.06 * metre, 4);
    const tip = at(x + task.lean * task.length * Math.sin(angle), task.length * Math.cos(angle));
    line("pole", wide, hinge, tip);
    line("ink", 1.2 * wide, hinge, hinge); // a dot, for lines end round
    // Forces as arrows: what the policy did last below the cart, the reader's push above it.
    const arrow = (name, force, up) => {
      if (Math.abs(force) < 0.05) return;
      const [from, y] = at(x, up), to = from + force * 0.05 * metre, back = Math.sign(force) * 5;
      line(name, 2.5, [from, y], [to, y]);
      line(name, 2.5, [to - back, y - 4], [to, y], [to - back, y + 4]);
    };
    if (page.action !== null) arrow("cart", task.force(page.action), -0.2);
    arrow("push", push(), 0.2);
  }

  /* KL at every step of the episode, on a logarithmic scale from 1e-4 to 1e4 nats. */
  function drawKl() {
    const { context, width, height, colour, line } = canvasOf(part.history);
    const share = value => (Math.log10(clip(value, 1e-4, 1e4)) + 4) / 8, left = 46;
    const y = value => height - 10 - share(value) * (height - 20);
    Object.assign(context, { fillStyle: colour("ink"), font: "11px sans-serif" });
    Object.assign(context, { textAlign: "right", textBaseline: "middle" });
    for (const label of ["0.0001", "0.01", "1", "100", "10000"]) {
      context.fillText(label, left - 6, y(label));
      line("grid", 1, [left, y(label)], [width, y(label)]);
    }
    const first = page.episode.steps - page.kls.length + 1, wide = (width - left) / page.task.limit;
    line("cart", 1.8, ...page.kls.map((value, i) => [left + (first + i) * wide, y(value)]));
  }

  // 5. Time ----------------------------------------------------------------------------------------

  function frame(now) {
    if (!page.playing) return;
    const passed = Math.min(now - page.before, 100) / 1000; // a page in the background does not catch up
    page.before = now;
    if (page.episode.end) {
      page.rest += passed;
      if (page.rest > 1.5 && part.again.checked) startEpisode();
    } else {
      page.owed += passed * Number(part.speed.value);
      for (; page.owed >= page.task.dt && !page.episode.end; page.owed -= page.task.dt) advance();
    }
    show();
    requestAnimationFrame(frame);
  }

  function play(playing) {
    if (playing && page.episode.end) startEpisode();
    if (playing && !page.playing) {
      page.before = performance.now();
      requestAnimationFrame(frame);
    }
    page.playing = playing;
    say();
    show();
  }

  // 6. Controls ------------------------------------------------------------------------------------

  function fill(select, chosen) {
    const choices = policies.filter(policy => tasks[policy.env] === page.task);
    select.replaceChildren(...[...new Set(choices.map(policy => policy.run))].map(run => {
      const group = Object.assign(document.createElement("optgroup"), { label: run });
      const own = choices.filter(policy => policy.run === run);
      group.append(...own.map(policy => new Option(policy.label, policies.indexOf(policy))));
      return group;
    }));
    select.value = policies.indexOf(choices.find(policy => policy[chosen]));
  }

  function choosePolicies() {
    const [policy, other] = [policies[part.policy.value], policies[part.other.value]];
    Object.assign(page, { policy, other, kls: [] });
    part.note.textContent = page.policy.note;
  }

  function chooseTask() {
    page.task = tasks[part.task.value];
    fill(part.policy, "shown");
    fill(part.other, "compared");
    choosePolicies();
    startEpisode();
  }

  const on = (element, types, act) => types.split(" ").forEach(type => element.addEventListener(type, act));
  const thenSay = act => () => { act(); say(); show(); };
  on(part.task, "change", thenSay(chooseTask));
  for (const menu of [part.policy, part.other]) {
    on(menu, "change", thenSay(() => { choosePolicies(); noteKl(); }));
  }
  on(part.strength, "input", show);
  on(part.play, "click", () => play(!page.playing));
  on(part.restart, "click", thenSay(startEpisode));
  on(part.single, "click", thenSay(() => {
    page.playing = false;
    page.episode.end ? startEpisode() : advance();
  }));

  /* A push lasts as long as it is held, and at least a tenth of a second of the cart's time. */
  function hold(direction) {
    if (direction) page.pulse = direction * Math.round(0.1 / page.task.dt);
    page.held = direction;
    show();
  }

  for (const [button, direction] of [[part.left, -1], [part.right, 1]]) {
    on(button, "pointerdown", () => hold(direction));
    on(button, "pointerup pointerleave pointercancel", () => hold(0));
    on(button, "click", event => { if (event.detail === 0) { hold(direction); hold(0); } }); // by key
  }

  const keys = { ArrowLeft: () => hold(-1), ArrowRight: () => hold(1), " ": () => play(!page.playing) };
  on(part.scene, "keydown", event => {
    if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (!event.repeat) keys[event.key]();
  });
  on(part.scene, "keyup blur", () => hold(0));

  const pull = event => {
    const box = part.stage.getBoundingClientRect();
    page.target = (event.clientX - box.left - box.width / 2) / (box.width / VIEW);
    show();
  };
  on(part.stage, "pointerdown", event => { part.stage.setPointerCapture(event.pointerId); pull(event); });
  on(part.stage, "pointermove", event => { if (page.target !== null) pull(event); });
  on(part.stage, "pointerup pointercancel", () => { page.target = null; show(); });

  for (const [id, { title }] of Object.entries(tasks)) part.task.append(new Option(`${title} (${id})`, id));
  chooseTask();
  new ResizeObserver(show).observe(part.stage);
  new MutationObserver(show).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  play(!matchMedia("(prefers-reduced-motion: reduce)").matches);

  return { tasks, policies, Episode, forward, distribution, mostProbable, sample, kl, page };
})();
