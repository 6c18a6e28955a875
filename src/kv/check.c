/* Whether a file is sound: LMDB keeps no checksums and trusts its pages, so that a damaged file can
 * kill the process that reads it. The walk is done by a child, whose death tells. */
#include "kv/kv_private.h"
#include "kv/sound.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool walk(MDB_txn *t, const struct sound_database *db)
{
    MDB_dbi dbi;
    MDB_cursor *c;
    MDB_val key, value, last = {0, NULL};
    MDB_stat st;
    size_t n = 0;
    volatile unsigned char sum = 0;
    int rc;
    if (mdb_dbi_open(t, db->name, db->flags, &dbi) != 0 || mdb_stat(t, dbi, &st) != 0 ||
        mdb_cursor_open(t, dbi, &c) != 0)
        return false;
    while ((rc = mdb_cursor_get(c, &key, &value, MDB_NEXT)) == 0) {
        if (key.mv_size < 1 || key.mv_size > db->key_max || value.mv_size < db->value_min ||
            (last.mv_data && mdb_cmp(t, dbi, &last, &key) >= 0))
            return false;
        sum = (unsigned char)(sum + ((unsigned char *)value.mv_data)[value.mv_size - 1]);
        last = key;
        n++;
    }
    return rc == MDB_NOTFOUND && n == st.ms_entries;
}

static bool unwritten(MDB_txn *t)
{
    MDB_dbi dbi;
    MDB_stat st;
    return mdb_dbi_open(t, NULL, 0, &dbi) == 0 && mdb_stat(t, dbi, &st) == 0 && st.ms_entries == 0;
}

static bool walk_all(MDB_txn *t, const struct sound_database *v, size_t n)
{
    if (n && v[0].name && unwritten(t))
        return true;
    for (size_t i = 0; i < n; i++)
        if (!walk(t, &v[i]))
            return false;
    return true;
}

/* A reader that goes without a word would keep pages from being used again. */
static bool look(const char *path, const struct sound_database *v, size_t n)
{
    MDB_env *env;
    MDB_txn *t;
    if (mdb_env_create(&env) != 0)
        return false;
    bool sound = mdb_env_set_maxdbs(env, (MDB_dbi)n) == 0 &&
                 mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY, 0) == 0 &&
                 mdb_txn_begin(env, NULL, MDB_RDONLY, &t) == 0;
    if (sound) {
        sound = walk_all(t, v, n);
        mdb_txn_abort(t);
    }
    mdb_env_close(env);
    return sound;
}

static void become_examiner(void)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU};
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        signal(deadly[i], SIG_DFL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_CPU, &(struct rlimit){KV_CHECK_SECONDS, KV_CHECK_SECONDS});
    close(STDERR_FILENO); /* LMDB's last words */
}

bool file_sound(const char *path, const struct sound_database *v, size_t n)
{
    struct stat st;
    if (stat(path, &st) != 0 || st.st_size == 0)
        return true;
    pid_t pid = fork();
    if (pid < 0)
        return true; /* no process to spare: it was sound when it was written */
    if (pid == 0) {
        become_examiner();
        _exit(look(path, v, n) ? 0 : 1);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return true; /* somebody else has reaped it */
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool kv_file_sound(const char *path)
{
    static const struct sound_database all = {NULL, 0, KV_STORED_KEY, KV_ENDS_SIZE};
    return file_sound(path, &all, 1);
}
