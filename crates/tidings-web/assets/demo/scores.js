import { make, watch } from "/demo/demo.js";

const rows = new Map();
const goals = document.querySelector("#goals");
const source = watch(new EventSource("/events/demo/scores?last=60"));

source.addEventListener("kickoff", ({ data }) => {
  show(JSON.parse(data), "playing");
  goals.replaceChildren();
});
source.addEventListener("fulltime", ({ data }) => show(JSON.parse(data), "full time"));
source.addEventListener("goal", ({ data }) => {
  const goal = JSON.parse(data);
  show(goal, `playing, ${goal.minute}′`);
  const { home, away, score, minute } = goal;
  goals.prepend(
    make("li", { textContent: `${minute}′  ${home} ${score[0]} : ${score[1]} ${away}` }),
  );
  if (goals.children.length > 10) goals.lastChild.remove();
});

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
