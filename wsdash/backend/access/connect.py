"""ssh's ProxyCommand: hands the connection to a workspace's socket over to ssh, and is gone.

Run by path with `python -S`, for it is started with each ssh; ssh asks for the descriptor (ProxyUseFdpass).
"""

import array
import socket
import sys


def main() -> int:
    path, name = sys.argv[1:]
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(path)
    except OSError:
        print(f"wsdash: {name} holds no line to this machine now; its job dials again", file=sys.stderr)
        return 1
    with socket.socket(fileno=1) as ssh:
        descriptors = array.array("i", [line.fileno()])
        ssh.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
