using System.Runtime.InteropServices;
using System.Security.Cryptography;
using CutoffLen.Tokenization;

namespace CutoffLen.Evaluation.Scoring;

/// <summary>What stands before a document's own tokens.</summary>
public enum DocumentStart
{
    /// <summary>What the checkpoint's tokenizer puts there: a BOS token or nothing.</summary>
    AsTokenized,

    /// <summary>A BOS token wherever the vocabulary has one, even where the tokenizer adds none.</summary>
    Bos,

    /// <summary>A BOS token, or EOS where the vocabulary has no BOS, so that the first token is scored too.</summary>
    BosOrEos,
}

/// <summary>One document to measure on.</summary>
/// <param name="Name">Its path, or path and line: how reports name it.</param>
/// <param name="Tokens">[T] token ids, with the special tokens that the tokenizer adds.</param>
/// <param name="Words">Pieces between white space, counted as the lm-evaluation-harness does.</param>
/// <param name="Bytes">Length in UTF-8 bytes.</param>
/// <param name="Prompt">Tokens at its start, a prompt, that are read and not scored; words and bytes are then those of the completion.</param>
public sealed record EvaluationDocument(string Name, int[] Tokens, long Words, long Bytes, int Prompt = 0)
{
    private string? identity;

    /// <summary>A hash of the tokens. It names the document in result files, independent of its path.</summary>
    public string Identity => identity ??= IdentityOf(Tokens);

    /// <summary>A hash of tokens.</summary>
    public static string IdentityOf(int[] tokens) => Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<int>(tokens)).AsSpan(0, 8));

    /// <summary>The token that a protocol puts before this document, or null where it puts none.</summary>
    public int? Prefix(DocumentStart start, SpecialTokens special)
    {
        var wanted = start switch
        {
            DocumentStart.Bos => special.Bos,
            DocumentStart.BosOrEos => special.Bos ?? special.Eos,
            _ => null,
        };
        return special.AddsBos && Tokens.Length > 0 && Tokens[0] == special.Bos ? null : wanted;
    }

    /// <summary>
    /// Tokens <paramref name="start"/> up to <paramref name="end"/> (exclusive) of the document with its prefix. The
    /// windows of a protocol use these indices.
    /// </summary>
    public int[] Slice(int? prefix, int start, int end) => prefix is not { } token
        ? Tokens[start..end]
        : start == 0 ? [token, .. Tokens.AsSpan(0, end - 1)] : Tokens[(start - 1)..(end - 1)];
}
