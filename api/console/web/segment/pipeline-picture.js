// The places of a pipeline's boxes and of the lines between them.

/** A box with the gap below it, in pixels; the styles say the same. */
const ROW = 72;
/** The middle of a box from its top, in pixels. */
const MIDDLE = 30;

/** The left and the right edge of a column, in percent; the styles have four columns with gaps of a seventh of one. */
const COLUMN = 22;
const GAP = 4;
const left = (column) => column * (COLUMN + GAP);
const right = (column) => left(column) + COLUMN;

function line(from, fromRow, toRow) {
  const [x1, x2] = [right(from), left(from + 1)];
  const [y1, y2] = [fromRow * ROW + MIDDLE, toRow * ROW + MIDDLE];
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}

/** The conditions that a plan names. */
function named(plan) {
  if (plan.predicate) return [plan.predicate];
  return Object.values(plan).flat().flatMap(named);
}

/** Four columns of boxes, the lines from each to the next, and the height in pixels. */
export function picture({ events, measures, predicates, plan }) {
  const columns = [
    events.map((event) => ({ key: event.eventType, event })),
    measures.map((measure) => ({ key: measure.id, measure })),
    predicates.map((predicate) => ({ key: predicate.id, predicate })),
    [{ key: 'plan', plan }],
  ];
  const rowOf = (items, id) => items.findIndex((item) => item.id === id);
  const fed = events.flatMap((event, row) => event.measures.map((id) => line(0, row, rowOf(measures, id))));
  const asked = predicates.flatMap((predicate, row) =>
    predicate.measure ? [line(1, rowOf(measures, predicate.measure), row)] : [],
  );
  const joined = [...new Set(named(plan))].map((id) => line(2, rowOf(predicates, id), 0));
  const rows = Math.max(...columns.map((boxes) => boxes.length));
  return { columns, edges: [...fed, ...asked, ...joined], height: rows * ROW };
}
