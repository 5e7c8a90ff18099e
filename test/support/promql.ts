import { parser } from '@prometheus-io/lezer-promql';

type Node = ReturnType<typeof parser.parse>['topNode'];

const comparisons = ['Gtr', 'Gte', 'Lss', 'Lte', 'Eql', 'Neq'];
const setOperators = ['And', 'Or', 'Unless'];

/**
 * What an alert's expression measures: its parts without the comparisons that decide whether it fires. Each of them
 * must have series for the alert to be able to. Throws for an expression that is none.
 */
export function measuredParts(expr: string): string[] {
  const tree = parser.parse(expr);
  tree.iterate({
    enter({ type, from }) {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expr}`);
    },
  });

  function partsOf(node: Node): string[] {
    const children = childrenOf(node);
    const names = new Set(children.map(({ name }) => name));
    if (node.name === 'PromQL' || node.name === 'ParenExpr') return children.flatMap(partsOf);
    if (node.name === 'BinaryExpr' && [...comparisons, ...setOperators].some((name) => names.has(name))) {
      return [children.at(0), children.at(-1)].flatMap((side) => (side ? partsOf(side) : []));
    }
    return readsSeries(node) ? [expr.slice(node.from, node.to)] : [];
  }
  return partsOf(tree.topNode);
}

function childrenOf(node: Node): Node[] {
  const children: Node[] = [];
  for (let child = node.firstChild; child; child = child.nextSibling) children.push(child);
  return children;
}

function readsSeries(node: Node): boolean {
  return node.name === 'VectorSelector' || childrenOf(node).some(readsSeries);
}
