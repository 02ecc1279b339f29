using System.Text;
using CutoffLen.Tokenization.Expressions;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>
/// Unicode's normalization forms (UAX #15), by ICU, as of Unicode 9: Hugging Face's tokenizers leave later characters as they
/// are. So the ids of a text don't depend on the version of ICU either.
/// </summary>
internal static class UnicodeForms
{
    // In .NET's invariant mode there is no ICU, and text is left as it is.
    private static readonly bool IsAvailable = "e\u0301".Normalize(NormalizationForm.FormC) == "\u00e9";

    private static readonly CodePointSet Later = UnicodeTables.Property("NormalizedSinceUnicode10");

    /// <summary>What turns well-formed text into a form.</summary>
    /// <param name="form">NFC, NFD, NFKC or NFKD.</param>
    /// <exception cref="InvalidDataException">.NET has no ICU; the message says how to install it.</exception>
    public static Func<string, string> To(string form)
    {
        var normalizationForm = form switch
        {
            "NFC" => NormalizationForm.FormC,
            "NFD" => NormalizationForm.FormD,
            "NFKC" => NormalizationForm.FormKC,
            _ => NormalizationForm.FormKD,
        };
        return IsAvailable ? text => Normalize(text, normalizationForm) : throw new InvalidDataException(
            $"its normalizer is {form}, which needs ICU; install libicu and unset DOTNET_SYSTEM_GLOBALIZATION_INVARIANT");
    }

    /// <summary>The text with U+FFFD in place of each half of a surrogate pair.</summary>
    public static string WellFormed(string text)
    {
        for (var at = 0; text.AsSpan(at).IndexOfAnyInRange('\ud800', '\udfff') is >= 0 and var step; at += 2)
        {
            at += step;
            if (at + 1 == text.Length || !char.IsSurrogatePair(text[at], text[at + 1]))
            {
                return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            }
        }

        return text;
    }

    private static string Normalize(string text, NormalizationForm form)
    {
        // .NET refuses U+FFFE, which no form changes.
        if (!text.Contains('\uFFFE') && text.IsNormalized(form))
        {
            return text;
        }

        var normalized = new StringBuilder(text.Length);
        var (start, at) = (0, 0);
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.Value == 0xFFFE || Later.Contains(rune.Value))
            {
                normalized.Append(text[start..at].Normalize(form)).Append(rune.ToString());
                start = at + rune.Utf16SequenceLength;
            }

            at += rune.Utf16SequenceLength;
        }

        return normalized.Append(text[start..].Normalize(form)).ToString();
    }
}
