using System.Text;
using CutoffLen.Common;
using Microsoft.ML.Tokenizers;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>What a BPE model does beside merging.</summary>
/// <param name="ByteFallback">Whether a character that is no token becomes its UTF-8 bytes, tokens &lt;0x00&gt; to &lt;0xFF&gt;.</param>
/// <param name="UnknownToken">What else it becomes; null: it is left out.</param>
/// <param name="FuseUnknown">Whether unknown characters in a row become one token.</param>
/// <param name="IgnoreMerges">Whether a word that is a token is that token, reached by merges or not.</param>
internal sealed record BpeRules(bool ByteFallback = false, string? UnknownToken = null, bool FuseUnknown = false, bool IgnoreMerges = false);

/// <summary>
/// Byte pair encoding as Hugging Face's tokenizers has it. The package's <see cref="BpeTokenizer"/> merges; it has no byte
/// fallback, so characters that are no tokens are taken out before.
/// </summary>
internal sealed class BpeModel
{
    // Longer runs of characters are cut before they are merged.
    private const int LongRun = 48;

    // Merges come as "left right", so a space inside a token is written as a unit that no text has.
    private const char Space = '\uDC00';

    private readonly BpeTokenizer merger;
    private readonly BpeRules rules;
    private readonly Dictionary<string, int> vocabulary;
    private readonly bool[] isToken = new bool[char.MaxValue + 1];
    private readonly HashSet<int> wideTokens = [];
    private readonly HashSet<(char Before, char After)> joints;
    private readonly int[]? byteIds;
    private readonly WordCache known = new();

    /// <summary>Builds the model.</summary>
    /// <param name="vocabulary">Each token's id.</param>
    /// <param name="merges">Pairs of tokens that make a token, the first to be merged first.</param>
    /// <param name="rules">What is done beside merging.</param>
    /// <exception cref="InvalidOperationException">A merge has or makes something that is no token.</exception>
    public BpeModel(Dictionary<string, int> vocabulary, IReadOnlyList<(string Left, string Right)> merges, BpeRules rules)
    {
        (this.vocabulary, this.rules) = (vocabulary, rules);
        foreach (var token in vocabulary.Keys)
        {
            if (token.Length is 1 or 2 && Rune.TryGetRuneAt(token, 0, out var rune) && rune.Utf16SequenceLength == token.Length)
            {
                _ = rune.IsBmp ? isToken[rune.Value] = true : wideTokens.Add(rune.Value);
            }
        }

        byteIds = rules.ByteFallback ? [.. Enumerable.Range(0, 256).Select(value => vocabulary.GetValueOrDefault($"<0x{value:X2}>", -1))] : null;
        Tokens = vocabulary.ToDictionary(token => token.Value, token => token.Key);
        joints = [.. merges.Select(merge => (Spell(merge.Left)[^1], Spell(merge.Right)[0]))];

        // Of equal merges the last one counts.
        var later = new HashSet<string>(StringComparer.Ordinal);
        merger = BpeTokenizer.Create(new BpeOptions(vocabulary.Select(token => KeyValuePair.Create(Spell(token.Key), token.Value)))
        {
            Merges = merges.Reverse().Select(merge => $"{Spell(merge.Left)} {Spell(merge.Right)}").Where(later.Add).Reverse(),
        });
    }

    /// <summary>Each token as the vocabulary spells it, by id.</summary>
    public IReadOnlyDictionary<int, string> Tokens { get; }

    /// <summary>Tokens in the vocabulary.</summary>
    public int Count => vocabulary.Count;

    /// <summary>The id of a token, or null.</summary>
    public int? Find(string token) => vocabulary.TryGetValue(token, out var id) ? id : null;

    /// <summary>Appends the ids of a word. Safe from several threads at once.</summary>
    public void Encode(string word, List<int> ids)
    {
        if (rules.IgnoreMerges && vocabulary.TryGetValue(word, out var id))
        {
            ids.Add(id);
            return;
        }

        // What is to be merged next: what is in run, and then the word from here on.
        var (run, from, unknown) = ((StringBuilder?)null, 0, false);
        for (var (at, length) = (0, 1); at < word.Length; at += length)
        {
            if (IsToken(word, at, out length))
            {
                AddUnknown();
                continue;
            }

            run = (run ?? new()).Append(word, from, at - from);
            from = at + length;
            if (BytesOf(word.AsSpan(at, length)) is { } bytes)
            {
                // An unknown character before them comes after them, as in Hugging Face's tokenizers.
                Merge(run.ToString(), ids);
                run.Clear();
                ids.AddRange(bytes);
            }
            else if (rules.UnknownToken is not null)
            {
                Merge(run.ToString(), ids);
                run.Clear();
                if (!rules.FuseUnknown)
                {
                    AddUnknown();
                }

                unknown = true;
            }
        }

        AddUnknown();
        Merge(run?.Append(word, from, word.Length - from).ToString() ?? word, ids);

        void AddUnknown()
        {
            if (unknown)
            {
                ids.Add(Find(rules.UnknownToken!) ?? throw new UserException(
                    $"the tokenizer's model.unk_token {rules.UnknownToken} is no token of model.vocab, and the text has a character that is none either"));
                unknown = false;
            }
        }
    }

    /// <summary>Whether the character at a place is a token, and the length of it.</summary>
    private bool IsToken(string word, int at, out int length)
    {
        if (!char.IsSurrogate(word[at]))
        {
            length = 1;
            return isToken[word[at]];
        }

        _ = Rune.DecodeFromUtf16(word.AsSpan(at), out var rune, out length);
        return wideTokens.Contains(rune.Value);
    }

    private int[]? BytesOf(ReadOnlySpan<char> character)
    {
        if (byteIds is null)
        {
            return null;
        }

        Span<byte> utf8 = stackalloc byte[4];
        var ids = new int[Encoding.UTF8.GetBytes(character, utf8)];
        for (var i = 0; i < ids.Length; i++)
        {
            ids[i] = byteIds[utf8[i]];
        }

        return ids.Contains(-1) ? null : ids;
    }

    /// <summary>Appends the ids of characters that are tokens. A long run is cut where no merge reaches across.</summary>
    private void Merge(string run, List<int> ids)
    {
        run = Spell(run);
        if (run.Length <= LongRun)
        {
            ids.AddRange(MergeAll(run));
            return;
        }

        var start = 0;
        for (var end = 1; end <= run.Length; end++)
        {
            if (end < run.Length && (joints.Contains((run[end - 1], run[end])) || char.IsLowSurrogate(run[end])))
            {
                continue;
            }

            var part = run.AsSpan(start, end - start);
            if (!known.TryAppend(part, ids))
            {
                var before = ids.Count;
                ids.AddRange(MergeAll(part));
                known.Remember(part, ids, before);
            }

            start = end;
        }
    }

    private IReadOnlyList<int> MergeAll(ReadOnlySpan<char> run) =>
        merger.EncodeToIds(run, considerPreTokenization: false, considerNormalization: false);

    private static string Spell(string token) => token.Replace(' ', Space);
}
