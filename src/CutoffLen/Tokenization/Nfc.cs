using System.Text;

namespace CutoffLen.Tokenization;

/// <summary>Unicode's normalization form C (UAX #15), by ICU.</summary>
internal static class Nfc
{
    /// <summary>Whether .NET has ICU; in invariant mode it leaves text as it is.</summary>
    public static bool IsAvailable { get; } = "e\u0301".Normalize(NormalizationForm.FormC) == "\u00e9";

    /// <summary>The text in form C; half a surrogate pair becomes U+FFFD.</summary>
    public static string Of(string text) => WellFormed(text).Normalize(NormalizationForm.FormC);

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

    /// <summary>Fails where .NET has no ICU.</summary>
    /// <exception cref="InvalidDataException">The message says how to install it.</exception>
    public static void Require()
    {
        if (!IsAvailable)
        {
            throw new InvalidDataException(
                "its normalizer is NFC, which needs ICU; install libicu and unset DOTNET_SYSTEM_GLOBALIZATION_INVARIANT");
        }
    }
}
