# Read from the working directory. "docs" is https://docs.gunicorn.org/en/stable/
import os

wsgi_app = "peer.wsgi"
# docs: design.html#how-many-workers: 2 x cores + 1 "to start off with", then tune: more than one a core only queue.
workers = len(os.sched_getaffinity(0))
# For requests that wait: threads, "generally in the 2-4 x cores range", each worker. docs: settings.html#threads
worker_class = "gthread"
threads = 4 * workers
# No watchdog: it would count the time in which a system is frozen, and kill the workers when they go on.
timeout = 0
# Above nginx's own keepalive_timeout of 60 s, so that it is nginx that closes first.
keepalive = 75
# docs: faq.html#how-do-i-avoid-gunicorn-excessively-blocking-in-os-fchmod
worker_tmp_dir = "/dev/shm"
# No preload_app: HUP would then not load a new version. docs: signals.html
