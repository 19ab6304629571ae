/* Preloaded into the program: syncs of files wait, and the clock of the machine is off, by so many milliseconds as the file says
   that AUDIENCE_CHAOS_CONTROL names. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *control;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("AUDIENCE_CHAOS_CONTROL");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0)
        return;
    void *seen = mmap(0, 16, PROT_READ, MAP_SHARED, file, 0);
    if (seen != MAP_FAILED)
        control = seen;
    close(file);
}

static void wait_for_disk(void)
{
    int64_t wait = control ? control[0] : 0;
    struct timespec time = {wait / 1000, wait % 1000 * 1000000};
    if (wait > 0)
        nanosleep(&time, 0);
}

int fsync(int file)
{
    wait_for_disk();
    return syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    wait_for_disk();
    return syscall(SYS_fdatasync, file);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int failed = syscall(SYS_clock_gettime, clock, time);
    if (!failed && clock == CLOCK_REALTIME && control)
        time->tv_sec += control[1] / 1000;
    return failed;
}
