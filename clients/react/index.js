// React hooks for tidings.js. A component that is unmounted, or whose topics change, hears nothing
// of its old connection any more, whatever is still on its way; nothing is opened while a server
// renders.

import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { connect } from "@tidings-hub/tidings";
import { entriesOf, state } from "@tidings-hub/tidings/state";

/** Events that `useEvents` keeps unless `keep` is given. */
const KEEP = 100;

/**
 * What ends together with the component's place in the page. An effect of the usual kind is cleaned
 * up in a later task, and events come in tasks too: one between the two would still be heard. A
 * server runs neither kind, but React 18 warns there about the first.
 */
const useMountedEffect = typeof document === "undefined" ? useEffect : useLayoutEffect;

/** Time after a reset before the history is read again, in milliseconds. */
const AGAIN_MS = 500;

/**
 * Listens while the component is mounted, and returns the state of its connection. `handlers` may
 * be other functions at each rendering: the latest are called, and the connection stays.
 */
export function useConnection(url, options = {}, handlers = {}) {
  const [state, setState] = useState(IDLE);
  const latest = useRef({ options, handlers });
  useMountedEffect(() => {
    latest.current = { options, handlers };
  });
  // What makes another connection; functions are no part of it, for they are new at each rendering.
  const { token, ...terms } = options;
  const key = JSON.stringify([url, terms, typeof token === "function" ? true : token]);
  const isOff = options.topics === null;

  useMountedEffect(() => {
    if (isOff) return undefined;
    const { token } = latest.current.options;
    const connection = connect(url, {
      ...latest.current.options,
      token:
        typeof token === "function" ? (problem) => latest.current.options.token(problem) : token,
    });
    let isOver = false;
    const tell = (status, detail) => setState({ status, detail, host: connection.host });
    const on = (name, act) => {
      connection[name] = (event) => {
        if (isOver) return;
        act?.(event);
        latest.current.handlers[name]?.(event);
      };
    };
    setState(CONNECTING);
    on("onevent");
    on("onopen", () => tell("open"));
    on("onresumed");
    on("onreset");
    on("onerror", ({ detail }) => tell("lost", detail));
    on("onclosed", ({ detail }) => tell("closed", detail));
    return () => {
      isOver = true;
      connection.close();
      setState(IDLE);
    };
  }, [key, isOff]);

  return state;
}

/**
 * The latest events of some topics, the newest last, and the state of the connection. After a reset
 * it begins again with the history that `options` ask for.
 */
export function useEvents(url, { keep = KEEP, ...options } = {}) {
  const [round, setRound] = useState(0);
  const [heard, setHeard] = useState(NOTHING);
  const key = JSON.stringify([url, options.topics, round]);
  const { status, detail } = useConnection(
    url,
    { ...options, round },
    {
      onevent: (event) =>
        setHeard((before) => {
          const events = before.key === key ? before.events : [];
          return { key, events: [...events, event].slice(-keep) };
        }),
      onreset: () => setTimeout(() => setRound((before) => before + 1), AGAIN_MS),
    },
  );
  return { events: heard.key === key ? heard.events : NOTHING.events, status, detail };
}

/**
 * What each key of some topics stands for now, and the state of the connection. `options.page` is a
 * page of the state to begin with, which a server has rendered, too.
 */
export function useTidingsState(url, options = {}) {
  const latest = useRef(options);
  useMountedEffect(() => {
    latest.current = options;
  });
  const { token, parse, page, ...terms } = options;
  const key = JSON.stringify([url, terms, typeof token === "function" ? true : token]);
  const isOff = options.topics === null;
  const [shown, setShown] = useState(() => ({ key, ...beginning(page, parse) }));

  useMountedEffect(() => {
    if (isOff) return undefined;
    const { token, ...others } = latest.current;
    const live = state(url, {
      ...others,
      token: typeof token === "function" ? (problem) => latest.current.token(problem) : token,
    });
    let status = "connecting";
    let detail;
    let timer;
    // Many keys may change at once: what is shown is made anew once for all of them.
    const show = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        setShown({ key, ...shownOf([...live], live.isReady), status, detail });
      });
    };
    const tell = (next) => (event) => {
      status = next;
      detail = event.detail ?? undefined;
      show();
    };
    live.addEventListener("open", tell("open"));
    live.addEventListener("error", tell("lost"));
    live.addEventListener("closed", tell("closed"));
    live.addEventListener("ready", show);
    live.addEventListener("change", show);
    show();
    return () => {
      clearTimeout(timer);
      timer = null;
      live.close();
    };
  }, [key, isOff]);

  const { key: _, ...now } = shown.key === key && !isOff ? shown : beginning(page, parse);
  return now;
}

/** What is shown before anything was heard. */
function beginning(page, parse) {
  return shownOf(page ? entriesOf(page, parse) : [], Boolean(page?.complete));
}

function shownOf(entries, isReady) {
  return { values: new Map(entries), entries, isReady, status: "idle", detail: undefined };
}

const IDLE = { status: "idle", detail: undefined, host: undefined };
const CONNECTING = { ...IDLE, status: "connecting" };
const NOTHING = { key: "", events: [] };
