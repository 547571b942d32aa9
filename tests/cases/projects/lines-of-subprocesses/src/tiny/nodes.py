import subprocess


def tool():
    subprocess.run("echo out; echo err >&2", shell=True, check=True)
    print("no newline at the end", end="")
    return 1


def after(a):
    print("first words of the next node")
    return 1
