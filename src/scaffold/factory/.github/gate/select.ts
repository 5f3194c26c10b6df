/** Which tests of a plan are about the packages that changed, and whose services those need. */

/** A plan's test, as far as it is looked at here. */
export interface Test {
  id: string;
  service: string;
  depends_on?: string[];
}

/** A plan, of which everything else is passed on as it is. */
export interface Plan {
  groups: { id: string; tests: string[] }[];
  tests: Test[];
}

/** The plan's part for some services, and every service that it asks. */
export interface Part {
  plan: Plan;
  services: string[];
}

/**
 * The tests of these services, with whatever they depend on. Changed services are
 * known by their names and by their packages' ids, since a group is named by one.
 */
export function select(plan: Plan, names: ReadonlySet<string>): Part {
  const tests = new Map(plan.tests.map((test) => [test.id, test]));
  const grouped = plan.groups.filter((group) => names.has(group.id)).flatMap(({ tests }) => tests);
  const named = plan.tests.filter((test) => names.has(test.service)).map(({ id }) => id);
  const needed = new Set<string>();
  for (const pending = [...grouped, ...named]; pending.length > 0; ) {
    const id = pending.pop() as string;
    if (needed.has(id)) continue;
    needed.add(id);
    pending.push(...(tests.get(id)?.depends_on ?? []));
  }
  const kept = plan.tests.filter((test) => needed.has(test.id));
  const groups = plan.groups
    .map((group) => ({ ...group, tests: group.tests.filter((id) => needed.has(id)) }))
    .filter((group) => group.tests.length > 0);
  return {
    plan: { ...plan, groups, tests: kept },
    services: [...new Set(kept.map((test) => test.service))],
  };
}
