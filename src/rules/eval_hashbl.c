/* placeholder */
#include "rules/eval.h"
const struct eval_fn_def eval_hashbl[] = {
    {NULL},
};
