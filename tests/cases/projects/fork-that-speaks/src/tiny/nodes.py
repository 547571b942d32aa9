import os
import time


def green_lie():
    pid = os.fork()
    if pid == 0:
        return 1
    os.waitpid(pid, 0)
    raise ValueError("the node itself fails")


def red_child():
    pid = os.fork()
    if pid == 0:
        raise ValueError("only the forked child fails")
    os.waitpid(pid, 0)
    time.sleep(2)
    return 1
