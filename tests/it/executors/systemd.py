"""Stands for systemd, logind, hostnamed and timedated on a bus of its own: python-dbusmock, with as much of
their interfaces as an agent uses. Each call is printed, which is how a test knows of it. It says `ready` when
all names are taken.
"""

import dbus
import dbus.mainloop.glib
from dbusmock.mockobject import DBusMockObject
from gi.repository import GLib

SYSTEMD = "org.freedesktop.systemd1"
ROOT = "/org/freedesktop/systemd1"
UNITS = {
    "made.service": f"{ROOT}/unit/made_2eservice",
    "broken.service": f"{ROOT}/unit/broken_2eservice",
    "slow.service": f"{ROOT}/unit/slow_2eservice",
}
JOB = f"{ROOT}/job/7"

# What is done to `broken` fails, and to `slow` never ends.
RUN = """
import dbus
units = {units!r}
unit = str(args[0])
if unit not in units:
    raise dbus.exceptions.DBusException('Unit %s not found.' % unit, name='org.freedesktop.systemd1.NoSuchUnit')
ret = dbus.ObjectPath('{job}')
if unit != 'slow.service':
    done = unit == 'made.service'
    if done:
        states = dict(ActiveState='{active}', SubState='{sub}')
        objects[units[unit]].UpdateProperties('org.freedesktop.systemd1.Unit', states)
    result = 'done' if done else 'failed'
    self.EmitSignal('org.freedesktop.systemd1.Manager', 'JobRemoved', 'uoss', [dbus.UInt32(7), ret, unit, result])
"""

LOAD = f"ret = {UNITS!r}.get(str(args[0]), '{ROOT}/unit/none')"

LIST = f"""
ret = [('made.service', 'A made service', 'loaded', 'active', 'running', '', '{UNITS["made.service"]}', 0, '', '/'),
       ('made.socket', 'No service', 'loaded', 'active', 'running', '', '{UNITS["made.service"]}', 0, '', '/'),
       ('gone.service', 'gone', 'not-found', 'inactive', 'dead', '', '{UNITS["made.service"]}', 0, '', '/')]
"""


def enabled(state):
    path = UNITS["made.service"]
    return f"objects['{path}'].UpdateProperties('org.freedesktop.systemd1.Unit', dict(UnitFileState='{state}'))\n"


def run(active, sub):
    return RUN.format(units=UNITS, job=JOB, active=active, sub=sub)


def serve(bus, name, path, interface, methods):
    taken = dbus.service.BusName(name, bus, do_not_queue=True)
    served = DBusMockObject(taken, path, interface, {})
    served.AddMethods(interface, methods)
    return served


def unit(manager, path, load, process):
    properties = {
        "LoadState": load,
        "ActiveState": "inactive",
        "SubState": "dead",
        "UnitFileState": "disabled",
        "Description": "A made service",
    }
    manager.AddObject(path, "org.freedesktop.systemd1.Unit", properties, [])
    service = {"MainPID": dbus.UInt32(process)}
    dbusmock_object(path).AddProperties("org.freedesktop.systemd1.Service", service)


def dbusmock_object(path):
    from dbusmock import mockobject

    return mockobject.objects[path]


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    manager = serve(bus, SYSTEMD, ROOT, f"{SYSTEMD}.Manager", [
        ("Subscribe", "", "", ""),
        ("Reload", "", "", ""),
        ("StartUnit", "ss", "o", run("active", "running")),
        ("RestartUnit", "ss", "o", run("active", "running")),
        ("StopUnit", "ss", "o", run("inactive", "dead")),
        ("LoadUnit", "s", "o", LOAD),
        ("ListUnits", "", "a(ssssssouso)", LIST),
        ("EnableUnitFiles", "asbb", "ba(sss)", enabled("enabled") + "ret = (True, [])"),
        ("DisableUnitFiles", "asb", "a(sss)", enabled("disabled") + "ret = []"),
    ])
    for path in UNITS.values():
        unit(manager, path, "loaded", 41)
    unit(manager, f"{ROOT}/unit/none", "not-found", 0)
    manager.AddObject(JOB, f"{SYSTEMD}.Job", {}, [("Cancel", "", "", "")])
    kept = [
        serve(bus, "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager",
              [("Reboot", "b", "", ""), ("PowerOff", "b", "", "")]),
        serve(bus, "org.freedesktop.hostname1", "/org/freedesktop/hostname1", "org.freedesktop.hostname1",
              [("SetHostname", "sb", "", ""), ("SetStaticHostname", "sb", "", "")]),
        serve(bus, "org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1",
              [("SetTime", "xbb", "", ""), ("SetTimezone", "sb", "", "")]),
    ]
    print("ready", flush=True)
    GLib.MainLoop().run()
    del kept


main()
