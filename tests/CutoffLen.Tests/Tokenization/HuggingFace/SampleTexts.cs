using System.Text;

namespace CutoffLen.Tests.Tokenization.HuggingFace;

/// <summary>Texts that tokenizers differ on.</summary>
internal static class SampleTexts
{
    private static readonly string[] Pieces =
    [
        "a", "b", "the", " whale", "Whale", "HELLO", "don", "'t", "'LL", "'s", "'\u017F", "\u2019s", "I", "\u00E9", "e\u0301", "\u0301", "\u0345", "\u00DF", "\u017F",
        "\u212A", "\u0130", "\u01C5", "\u02B0", "\u0450", "\u0416", "\u4F60\u597D", "\u4E00", "\u3400", "\u3005", "\u3042", "\u30A2", "\u30FC", "\uC548", "\u1100\u1161",
        "\u0645", "\u05D0", "\u0E2A\u0E27\u0E31", "\u0928\u092E\u0938\u094D\u0924\u0947", "\U00010400", "\U00010428", "\U0001D407", "\U0001D7D8", "\U00020000", "\U0002F800",
        "\U0001F600", "\U0001F468\u200D\U0001F469\u200D\U0001F467", "\U0001F44D\U0001F3FB", "\U0001F1EB\U0001F1F7", "\U000F0000", "\U000E0020", "\U0001FBF0", "\u2764\uFE0F",
        "0", "7", "12", "345", "\u0663", "\u00B2", "\u00BD", "\u2167", "\u3007", "\u24B6", ".", ",", "!", "?", "...", "-", "--", "_", "(", ")", "[", "]", "{", "}", "/", "\\", "\"",
        "'", "`", "@", "#", "$", "%", "^", "&", "*", "+", "=", "~", "|", "<", ">", ":", ";", "\u00AB", "\u2014", "\u2026", "\u00A1", "\u3001", "\u3002", "\uFF0C", "\uFF01", "\u20AC",
        " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\u000B", "\u000C", "\u0085", "\u00A0", "\u2003", "\u2028", "\u2029", "\u3000", "\u200B", "\u200D", "\u2060",
        "\uFEFF", "\u00AD", "\u0000", "\u0001", "\u001B", "\u007F", "\uFFFD", "\uFFFF", "\uFDD0", "\uE000", "\uF8FF", "\u0378", "\u2581", "\u0120", "\u010A",
        "<s>", "</s>", "<unk>", "<0x41>", "<|im_start|>", "[INST]", "<tag>", "word",
    ];

    /// <summary>Written by hand.</summary>
    public static IReadOnlyList<string> Fixed { get; } =
    [
        "", " ", "  ", "\n", "\n\n\n", "\r\n\r\n", "\t", " \n ", "a", " a", "a ", "  a  b  ", "hello world 42", "hello world42\U00010400",
        "The whale, the whale's whale!", "I'm we're they've he'd she'll it's DON'T I'LL", "  leading and trailing   ", "one\ntwo\n\nthree\r\nfour\rfive", "\tint x = 42;\n\t\treturn x;\n",
        "def f(x):\n    return x ** 2  # comment\n\n\nclass A:\n        pass", "1 12 123 1234 12345 3.14159 1,234,567 \u0661\u0662\u0663 \U0001D7D8\U0001D7D9", "\u0417\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439, \u043C\u0438\u0440!",
        "\u4F60\u597D\uFF0C\u4E16\u754C\u3002", "\u65E5\u672C\u8A9E\u306E\u30C6\u30AD\u30B9\u30C8\u3067\u3059\u3002", "\uC548\uB155\uD558\uC138\uC694", "e\u0301\u0302 \u00E9 \u1EAD", "\U0001F600\U0001F468\u200D\U0001F469\u200D\U0001F467\U0001F1EB\U0001F1F7\u2764\uFE0F",
        "\U00020000\U00020001 \U0002F800", "\U0001D407\U0001D41E\U0001D425\U0001D425\U0001D428", "zero\u200Bwidth\u200Djoiner\u00A0nbsp\u2003em\u3000ideographic", "\u2581 \u2581\u2581 a\u2581b", "\u0000\u0001\u001B[31m\u007F", "\uFFFD \uFFFE \uFFFF \uFDD0 \uE000",
        "http://example.com/path?query=1&other=2#fragment", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "================================================================", new string(' ', 70) + "x",
        "<s>", "<s> hello</s>", "a<s>b", " <s> ", "<s><s></s>", "hello <unk> <0x0A>", "<|im_start|>user\nhi<|im_end|>\n", "x <|im_start|> y", "[INST] hi [/INST]", "[INST][INST] ", "\u2581<PRE> a \u2581<SUF>b", "<tag> a<tag>b < tag>", "word words wordword a word.", "  word  word",
        "WHALE whale Whale \u0130stanbul \u03A3\u03A3", "\uFB01\u00B2 \u2160\u2167", "snake_case CamelCase kebab-case", "a.b,c;d:e!f?g", "\u00AB\u00BB\u201C\u201D\u2018\u2019", "\u0645\u0631\u062D\u0628\u0627 \u05E9\u05DC\u05D5\u05DD", "\u0928\u092E\u0938\u094D\u0924\u0947 \u0E2A\u0E27\u0E31\u0E2A\u0E14\u0E35",
    ];

    /// <summary>Drawn from pieces.</summary>
    public static string Random(int seed)
    {
        var random = new Random(seed);
        var text = new StringBuilder();
        for (var left = random.Next(1, 24); left > 0; left--)
        {
            text.Append(Pieces[random.Next(Pieces.Length)]);
        }

        return text.ToString();
    }
}
