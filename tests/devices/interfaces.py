"""The web interfaces that tests put behind an agent: real ones, of which nobody here wrote the pages.

One function an interface: it starts the processes on the stage it is given and returns what a test must
know beyond the URL. Helpers listen on Unix sockets in the stage's directory, so that several devices can
run at once. Starting, waiting and ending are launch.py's; asserting on the pages is the browser tests'.
"""

import base64
import glob
import hashlib
import os
import ssl
import subprocess
import sys

from launch import HERE, PYTHON, Failed, free_port

# Both are typed by the tests into the sign-in pages of devices that live for one test.
TERMINAL_TOKEN = "terminal-of-the-test"
PIKVM_USER, PIKVM_PASSWORD = "admin", "password of the test"


def novnc(stage):
    """noVNC on websockify, x11vnc on Xvfb, and one program on the screen that moves and takes keys."""
    read, write = os.pipe()
    stage.spawn(
        "xvfb", "Xvfb", "-displayfd", write, "-screen", "0", "640x400x24", "-nolisten", "tcp", "-br", pass_fds=[write]
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    stage.until("a display", lambda: number)
    display = {"DISPLAY": f":{number}"}
    stage.spawn(
        "screen", "xterm", "-fa", "DejaVu Sans Mono", "-fs", "12", "-geometry", "80x30+0+0", "-b", "0", "+sb",
        "-e", sys.executable, HERE / "screen.py", stage.path("typed"), env=display,
    )  # fmt: skip
    stage.spawn(
        "x11vnc", "x11vnc", "-unixsock", stage.path("vnc.sock"), "-rfbport", "0", "-forever", "-shared", "-nopw",
        "-quiet", "-noshm", "-desktop", "device", env=display,
    )  # fmt: skip
    stage.until_listening("vnc.sock")
    _websockify(stage, "/usr/share/novnc", "vnc.sock")
    return {"page": "/vnc_lite.html", "typed": stage.path("typed")}


def spice(stage):
    """spice-html5 on websockify, and QEMU without a disk: its firmware writes on the screen and waits for a key."""
    stage.spawn(
        "qemu", "qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-no-user-config",
        "-vga", "qxl", "-display", "none", "-boot", "menu=on,splash-time=65000",
        "-spice", f"unix=on,addr={stage.path('spice.sock')},disable-ticketing=on",
    )  # fmt: skip
    stage.until_listening("spice.sock")
    _websockify(stage, "/usr/share/spice-html5", "spice.sock")
    return {"page": "/spice_auto.html"}


def _websockify(stage, web, target):
    stage.spawn("websockify", "websockify", "--web", web, "--unix-target", stage.path(target), f"127.0.0.1:{stage.port}")
    stage.until_answering(f"http://127.0.0.1:{stage.port}/")


def terminal(stage):
    """JupyterLab with its sign-in on and its terminals' text in the page as well as on its canvas."""
    settings = "settings/@jupyterlab"
    stage.write(f"{settings}/terminal-extension/plugin.jupyterlab-settings", '{"screenReaderMode": true}')
    stage.write(f"{settings}/apputils-extension/notification.jupyterlab-settings", '{"fetchNews": "false"}')
    stage.write("bashrc", "PS1='device> '\n")
    stage.write("files/readme.txt", "A file of the device.\n")
    paths = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
    stage.spawn(
        "jupyter", PYTHON, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={stage.port}",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={stage.path('files')}", *(["--allow-root"] if os.getuid() == 0 else []),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.extension_manager=readonly",
        f"--ServerApp.terminado_settings={{'shell_command': ['/bin/bash', '--rcfile', '{stage.path('bashrc')}']}}",
        env={
            "JUPYTER_TOKEN": TERMINAL_TOKEN,
            "JUPYTERLAB_SETTINGS_DIR": stage.path("settings"),
            "JUPYTERLAB_WORKSPACES_DIR": stage.path("workspaces"),
            "IPYTHONDIR": stage.path("ipython"),
            **{f"JUPYTER_{name}_DIR": stage.path(path) for name, path in paths.items()},
        },
    )  # fmt: skip
    stage.until_answering(f"http://127.0.0.1:{stage.port}/api")
    return {"page": "/lab", "token": TERMINAL_TOKEN}


def ustreamer(stage):
    """ustreamer without a camera: an endless MJPEG stream, HTTP/1.0 and close-delimited, of its no-signal picture."""
    _ustreamer(stage, "--host=127.0.0.1", f"--port={stage.port}")
    stage.until_answering(f"http://127.0.0.1:{stage.port}/state")
    return {"page": "/"}


def _ustreamer(stage, *listen):
    stage.spawn("ustreamer", "ustreamer", "--device=/dev/video99", "--no-log-colors", "--exit-on-parent-death", *listen)


def pikvm(stage):
    """nginx in PiKVM's shape over https with a certificate of its own, before kvmd.py and a real ustreamer."""
    plain = free_port()
    certificate, key = stage.path("certificate.pem"), stage.path("key.pem")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=pikvm", "-keyout", key, "-out", certificate],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise Failed(f"openssl: {made.stderr}")
    stage.spawn("kvmd", PYTHON, HERE / "kvmd.py", stage.path("kvmd.sock"), PIKVM_USER, PIKVM_PASSWORD)
    _ustreamer(stage, f"--unix={stage.path('ustreamer.sock')}")
    stage.until_listening("kvmd.sock")
    stage.until_listening("ustreamer.sock")
    _nginx(stage, (HERE / "pikvm.conf").read_text() % {
        "plain": plain, "port": stage.port, "certificate": certificate, "key": key, "web": HERE / "pikvm",
    })  # fmt: skip
    stage.until_answering(f"https://127.0.0.1:{stage.port}/login/")
    with open(certificate, encoding="ascii") as file:
        der = ssl.PEM_cert_to_DER_cert(file.read())
    return {
        "url": f"https://127.0.0.1:{stage.port}",
        "plain_url": f"http://127.0.0.1:{plain}",
        "page": "/",
        "certificate_sha256": hashlib.sha256(der).hexdigest(),
        "user": PIKVM_USER,
        "password": PIKVM_PASSWORD,
    }


def janus(stage):
    """Janus's own demonstration pages behind nginx, signalling over its WebSocket; media do not pass a tunnel."""
    # Debian's folder is named after the machine's architecture.
    folder = (glob.glob("/usr/lib/*/janus") or [""])[0]
    stage.write(
        "janus/janus.jcfg",
        f'general: {{ configs_folder = "{stage.path("janus")}"\n plugins_folder = "{folder}/plugins"\n'
        f' transports_folder = "{folder}/transports"\n events_folder = "{folder}/events"\n'
        f' loggers_folder = "{folder}/loggers"\n debug_level = 3\n admin_secret = "{base64.b64encode(os.urandom(9)).decode()}" }}\n'
        'nat: { ice_enforce_list = "lo" }\n'
        'plugins: { disable = "libjanus_sip.so,libjanus_nosip.so,libjanus_lua.so,libjanus_duktape.so" }\n'
        'transports: { disable = "libjanus_http.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_mqtt.so,libjanus_nanomsg.so" }\n',
    )
    stage.write(
        "janus/janus.transport.websockets.jcfg",
        f'general: {{ json = "compact"\n ws = true\n ws_unix = "{stage.path("janus.sock")}" }}\n',
    )
    stage.spawn("janus", "janus", "--disable-colors", "-F", stage.path("janus"), "-C", stage.path("janus/janus.jcfg"))
    stage.until_listening("janus.sock")
    _nginx(stage, (HERE / "janus.conf").read_text() % {"port": stage.port})
    stage.until_answering(f"http://127.0.0.1:{stage.port}/")
    return {"page": "/echotest.html"}


def _nginx(stage, servers):
    """nginx as one process, so that it dies with us, with every path it knows in the stage's directory."""
    temporary = "".join(
        f"{kind}_temp_path {stage.path(kind)};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Relative paths are nginx's prefix, which is the stage's directory.
    configuration = stage.write(
        "nginx.conf",
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr notice;\nevents {}\n"
        f"http {{\ninclude /etc/nginx/mime.types;\naccess_log access.log;\n{temporary}{servers}\n}}\n",
    )
    stage.spawn("nginx", _sbin("nginx"), "-p", stage.path(""), "-c", configuration, "-e", "stderr")


def _sbin(name):
    """A user's PATH need not hold /usr/sbin."""
    return name if os.access(f"/usr/bin/{name}", os.X_OK) else f"/usr/sbin/{name}"


def hostile(stage):
    """The raw-socket device of hostile.py."""
    stage.spawn("hostile", sys.executable, HERE / "hostile.py", "--port", stage.port)
    stage.until_answering(f"http://127.0.0.1:{stage.port}/")
    return {"page": "/landing"}


ALL = {function.__name__: function for function in (novnc, spice, terminal, ustreamer, pikvm, janus, hostile)}
