import { make, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const rows = new Map();
const goals = document.querySelector("#goals");
begin();

function begin() {
  rows.clear();
  document.querySelector("#matches").replaceChildren();
  goals.replaceChildren();
  listen({ last: 60 });
}

function listen(start) {
  const source = connect("", { topics: "demo/scores", multiplex: true, ...start });
  watch(source, { begin, listen });

  source.addEventListener("kickoff", ({ data }) => {
    show(JSON.parse(data), "playing");
    goals.replaceChildren();
  });
  source.addEventListener("fulltime", ({ data }) => show(JSON.parse(data), "full time"));
  source.addEventListener("goal", ({ data }) => {
    const goal = JSON.parse(data);
    show(goal, `playing, ${goal.minute}′`);
    const { home, away, score, minute } = goal;
    const text = `${minute}′  ${home} ${score[0]} : ${score[1]} ${away}`;
    goals.prepend(make("li", { textContent: text }));
    if (goals.children.length > 10) goals.lastChild.remove();
  });
}

function show({ home, away, score }, state) {
  const match = `${home} – ${away}`;
  if (!rows.has(match)) {
    const row = make(
      "tr",
      {},
      make("td", { textContent: match }),
      make("td", { className: "number" }),
      make("td"),
    );
    document.querySelector("#matches").append(row);
    rows.set(match, row);
  }
  const [, number, words] = rows.get(match).children;
  number.textContent = score.join(" : ");
  words.textContent = state;
}
