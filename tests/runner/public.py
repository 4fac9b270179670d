"""public: test suites that others wrote, on a mount; public-transparency: the same, and the scripts
of apps/, on a kernel directory with the library loaded and a mount armed elsewhere."""

import os

from . import apps, base, cpython, fio, fsx, pjdfstest, place, stressng


def _test(suite, context, who, name, kinds, body):
    """A test with fresh places; what comes to be in the guest's kernel directory is a failure."""

    def run(test):
        if context.unbuilt:
            return test.failed(context.unbuilt)
        places = [kind(context, who) for kind in kinds]
        errors = [error for error in (getattr(one, "error", "") for one in places) if error]
        if errors:
            return test.failed(errors[0])
        results = body(test, *places)
        results = results if isinstance(results, list) else [results]
        leaks = [leak for leak in (one.leaks() for one in places) if leak]
        if leaks:
            results.append(test.failed(leaks[0]))
        if all(result.status != base.FAIL for result in results):
            for one in places:
                one.drop()
        return results

    return base.Test(suite, f"{who.name}/{name}", run)


def tests(context):
    kinds = [place.Kernel, place.Mounted]
    for who in context.identities:
        yield _test("public", context, who, "pjdfstest", kinds,
                    lambda test, kernel, mounted: pjdfstest.on_mount(test, context, kernel, mounted))
        for module in cpython.modules(context):
            yield _test("public", context, who, f"cpython-{module}", kinds,
                        lambda test, *places, m=module: cpython.on_mount(test, context, *places, m))
    for name, path, seed, steps, who in fsx.runs(context):
        yield _test("public", context, who, name, kinds,
                    lambda test, *places, p=path, s=seed, n=steps: fsx.on_mount(test, context, places, p, s, n))
    for who in context.identities:
        for name, engine, words in fio.runs():
            yield _test("public", context, who, name, kinds,
                        lambda test, *places, e=engine, w=words: fio.on_mount(test, places, e, w))
        for stressor, reason in stressng.stressors().items():
            yield _test("public", context, who, f"stress-{stressor}", kinds,
                        lambda test, *places, s=stressor, r=reason: stressng.on_mount(test, context, places, s, r))


def transparency(context):
    suite, both, armed = "public-transparency", [place.Kernel, place.Armed], [place.Armed]
    for who in context.identities:
        yield _test(suite, context, who, "pjdfstest", both,
                    lambda test, kernel, ours: pjdfstest.transparent(test, context, kernel, ours))
    for name, path, seed, steps, who in fsx.runs(context):
        yield _test(suite, context, who, name, armed,
                    lambda test, ours, p=path, s=seed, n=steps: fsx.transparent(test, context, ours, p, s, n))
    for who in context.identities:
        for name, engine, words in fio.runs():
            yield _test(suite, context, who, name, armed,
                        lambda test, ours, e=engine, w=words: fio.transparent(test, ours, e, w))
        for stressor in stressng.stressors():
            yield _test(suite, context, who, f"stress-{stressor}", both,
                        lambda test, *places, s=stressor: stressng.transparent(test, context, places, s))
        for path in apps.scripts():
            name = os.path.splitext(os.path.basename(path))[0]
            yield _test(suite, context, who, f"apps-{name}", armed,
                        lambda test, ours, p=path: apps.transparent(test, context, ours, p))
