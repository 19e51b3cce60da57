"""The measurements of the data plane, in groups that are run side by side."""

from tests.bench import measure, nginx, stage
from tests.bench.load import Load
from tests.bench.measure import Target
from tests.bench.processes import SERVER_CORE, Group, free_port
from tests.bench.stage import Say


def quick(group: Group, say: Say) -> int:
    """nginx's plain proxy beside Aval, bearer, 2 kB."""
    say("quick: starting the data server, nginx's plain proxy and Aval")
    scene = stage.stage(group)
    port = free_port()
    proxy = nginx.plain_proxy(group, SERVER_CORE, port, scene.port)
    gateway = scene.gateway("aval")
    pid = gateway.serve(group, "aval", SERVER_CORE)
    stage.check_cut(scene, gateway)
    load = stage.bearer(scene, gateway, "bank")
    plain = Load(f"http://127.0.0.1:{port}{scene.documents['bank'].path}", load.headers)
    found = measure.side_by_side(
        [Target("nginx", [proxy], lambda _: plain), Target("aval", [pid], lambda _: load)], say, slices=12
    )
    ours, theirs = found["aval"], found["nginx"]
    for name, each in found.items():
        print(f"{name:6} {each.rps:8.0f} rps {each.cpu_us:8.1f} µs CPU  busy {each.busy:.2f}"
              f"  p50 {each.p50_ms:.2f} ms  p99 {each.p99_ms:.2f} ms  unwell {each.unwell}")
    print(f"cpu_vs_nginx_proxy {ours.cpu_us / theirs.cpu_us:.2f} (goal ≤ 5.2)"
          f"   rps_vs_nginx_proxy {ours.rps / theirs.rps:.3f} (goal ≥ 0.20)")
    return 0


def full(group: Group, say: Say) -> int:
    return quick(group, say)
