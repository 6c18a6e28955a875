/* Classes of characters in templates. */
#include "relays/template_private.h"

#define MANY (1u << 20)

/* letter, name, what is in it, least and greatest number, lazy */
#define SPACE(c) ((c) == ' ' || ((c) >= '\t' && (c) <= '\r'))
#define DIGIT(c) ((c) >= '0' && (c) <= '9')
#define LOWER(c) ((c) >= 'a' && (c) <= 'z')
#define UPPER(c) ((c) >= 'A' && (c) <= 'Z')
#define ALPHA(c) (LOWER(c) || UPPER(c))
#define ALNUM(c) (ALPHA(c) || DIGIT(c))
#define HOST(c)  (ALNUM(c) || (c) == '-' || (c) == '.')
#define ANY(c)   ((c) != '\n')
#define PLAIN(c) (!SPACE(c) && (c) != ';')
#define HELO_SIGNS(c)                                                                              \
    ((c) == '-' || (c) == '.' || (c) == '^' || (c) == '+' || (c) == '_' || (c) == '&' ||           \
     (c) == ':' || (c) == '=' || (c) == '?' || (c) == '!' || (c) == '@' || (c) == '%' ||           \
     (c) == '*' || (c) == '$' || (c) == '\\' || (c) == '/')
/* clang-format off */
#define CLASSES(X, c) \
    X('W', WORD, !SPACE(c), 1, MANY, false) \
    X('Q', WORD_OR_NONE, !SPACE(c), 0, MANY, false) \
    X('Y', WORD_LAZY, !SPACE(c), 1, MANY, true) \
    X('A', ANYTHING, ANY(c), 0, MANY, false) \
    X('O', SOMETHING, ANY(c), 1, MANY, false) \
    X('L', ANYTHING_LAZY, ANY(c), 0, MANY, true) \
    X('X', ONE, ANY(c), 1, 1, false) \
    X('P', IN_PAREN, (c) != ')', 1, MANY, false) \
    X('K', IN_PAREN_OR_NONE, (c) != ')', 0, MANY, false) \
    X('H', NO_PAREN, (c) != ' ' && (c) != '(' && (c) != ')', 0, MANY, false) \
    X('U', LOCAL_PART, !SPACE(c) && (c) != '@', 1, MANY, false) \
    X('E', NO_DOT, (c) != '.', 1, MANY, false) \
    X('T', ID, PLAIN(c) && (c) != '<' && (c) != '>', 3, MANY, false) \
    X('V', HELO, ALNUM(c) || HELO_SIGNS(c), 1, MANY, false) \
    X('S', ENDS, !PLAIN(c), 1, MANY, false) \
    X('C', NO_HOST, !HOST(c), 1, 1, false) \
    X('R', NO_HOST_OR_END, !HOST(c) && (c) != ';', 1, 1, false) \
    X('B', NO_DIGIT, !DIGIT(c), 1, 1, false) \
    X('M', LETTER, ALPHA(c), 1, 1, false) \
    X('N', NUMBER, DIGIT(c), 1, MANY, false) \
    X('D', ONE_DIGIT, DIGIT(c), 1, 1, false) \
    X('G', TO_SIX, (c) >= '0' && (c) <= '6', 1, 1, false) \
    X('Z', ZONE, UPPER(c) || DIGIT(c) || (c) == '.' || (c) == '_' || (c) == '~' || (c) == '-', \
      0, MANY, false) \
    X('0', TEN_TO_EIGHTY, ANY(c), 10, 80, false) \
    X('1', SHORT_IN_PAREN, (c) != ')', 0, 40, false) \
    X('2', TO_HUNDRED, ANY(c), 0, 100, false) \
    X('3', IN_ANGLES, (c) != '>', 1, MANY, false) \
    X('4', NO_END, PLAIN(c), 1, MANY, false) \
    X('5', NUMBER_OR_NONE, DIGIT(c), 0, MANY, false) \
    X('6', SHORT_ID, LOWER(c) || DIGIT(c), 1, 4, false) \
    X('7', TWO_TO_NINE_DIGITS, DIGIT(c), 2, 9, false) \
    X('8', THREE_LOWER, LOWER(c), 3, 3, false) \
    X('~', PERL_WORD, ALNUM(c) || (c) == '_', 1, MANY, false) \
    X('-', ONE_NO_SPACE, !SPACE(c), 1, 1, false) \
    X(':', ONE_SPACE, SPACE(c), 1, 1, false) \
    X('%', DIGITS_AND_DOTS, DIGIT(c) || (c) == '.', 1, MANY, false) \
    X('=', THREE_TO_TWENTY, ANY(c), 3, 20, false) \
    X('9', TO_THREE_DIGITS, DIGIT(c), 1, 3, false) \
    X('J', NO_BLANK, (c) != ' ', 1, MANY, false)

enum class_number {
#define NUMBER(letter, name, in, min, max, lazy) CLASS_##name,
    CLASSES(NUMBER, 0)
#undef NUMBER
};

const struct template_class template_classes[] = {
#define ROW(letter, name, in, min, max, lazy) {min, max, lazy},
    CLASSES(ROW, 0)
#undef ROW
};

#define BIT(letter, name, in, min, max, lazy) | (uint64_t)((in) ? 1 : 0) << CLASS_##name
#define BYTE(c) (0 CLASSES(BIT, c)),
#define BYTES_4(c) BYTE(c) BYTE((c) + 1) BYTE((c) + 2) BYTE((c) + 3)
#define BYTES_16(c) BYTES_4(c) BYTES_4((c) + 4) BYTES_4((c) + 8) BYTES_4((c) + 12)
#define BYTES_64(c) BYTES_16(c) BYTES_16((c) + 16) BYTES_16((c) + 32) BYTES_16((c) + 48)
const uint64_t template_bytes[256] = {BYTES_64(0) BYTES_64(64) BYTES_64(128) BYTES_64(192)};
/* clang-format on */

int template_class_of(char letter)
{
    static const uint8_t numbers[128] = {
#define LETTER(letter, name, in, min, max, lazy) [letter] = CLASS_##name + 1,
        CLASSES(LETTER, 0)
#undef LETTER
    };
    return numbers[letter & 127] - 1;
}

bool template_class_is_any(unsigned class)
{
    const uint64_t any = (uint64_t)1 << CLASS_ANYTHING | (uint64_t)1 << CLASS_SOMETHING |
                         (uint64_t)1 << CLASS_ANYTHING_LAZY | (uint64_t)1 << CLASS_ONE |
                         (uint64_t)1 << CLASS_TEN_TO_EIGHTY | (uint64_t)1 << CLASS_TO_HUNDRED |
                         (uint64_t)1 << CLASS_THREE_TO_TWENTY;
    return any >> class & 1;
}
