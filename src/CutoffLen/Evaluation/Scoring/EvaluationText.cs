using System.Runtime.InteropServices;
using System.Security.Cryptography;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Tokenization;

namespace CutoffLen.Evaluation.Scoring;

/// <summary>One document to measure on.</summary>
/// <param name="Name">What reports call it: a path, or path and line.</param>
/// <param name="Tokens">Its tokens, with the special tokens that the tokenizer puts around a text.</param>
/// <param name="Words">Pieces between white space, as the lm-evaluation-harness counts them.</param>
/// <param name="Bytes">Length in UTF-8 bytes.</param>
public sealed record EvaluationText(string Name, int[] Tokens, long Words, long Bytes)
{
    private string? identity;

    /// <summary>A hash of the tokens: names the text in files of results, whatever it is called.</summary>
    public string Identity => identity ??= Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<int>(Tokens)).AsSpan(0, 8));

    /// <summary>The token that a protocol puts before this text's own tokens, or null where it puts none.</summary>
    public int? Prefix(TextStart start, SpecialTokens special)
    {
        var wanted = start switch
        {
            TextStart.Bos => special.Bos,
            TextStart.BosOrEos => special.Bos ?? special.Eos,
            _ => null,
        };
        return special.AddsBos && Tokens.Length > 0 && Tokens[0] == special.Bos ? null : wanted;
    }

    /// <summary>
    /// Tokens <paramref name="start"/> up to <paramref name="end"/> (not included) of the text with a prefix before it: the
    /// indices in which the windows of a protocol are counted.
    /// </summary>
    public int[] Slice(int? prefix, int start, int end) => prefix is not { } token
        ? Tokens[start..end]
        : start == 0 ? [token, .. Tokens.AsSpan(0, end - 1)] : Tokens[(start - 1)..(end - 1)];
}
