using System.Text.Json;

namespace CutoffLen.Data;

/// <summary>
/// What became of the data, written as ledger.json beside every run: what was dropped, cut or padded, and how many tokens
/// were trained beyond the native context.
/// </summary>
/// <param name="CutoffLen">T, tokens of a sequence.</param>
/// <param name="NativeLength">Tokens the model was trained at before.</param>
/// <param name="Packing">How documents became sequences.</param>
/// <param name="Documents">Documents by what happened to them.</param>
/// <param name="Tokens">Tokens of one epoch by what happened to them.</param>
/// <param name="Sequences">The sequences of one epoch.</param>
/// <param name="Warnings">Sentences for the user; empty when nothing is odd.</param>
/// <param name="Trained">What the run has trained so far.</param>
public sealed record TokenLedger(
    int CutoffLen, int NativeLength, Packing Packing, DocumentCounts Documents, TokenCounts Tokens,
    SequenceCounts Sequences, IReadOnlyList<string> Warnings, TrainedCounts Trained)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>Counts an epoch.</summary>
    /// <param name="documents">The documents.</param>
    /// <param name="sequences">The sequences made of them.</param>
    /// <param name="nativeLength">Tokens the model was trained at before.</param>
    /// <param name="target">
    /// The length whose positions training reaches: null with plain positions, where that is the longest stretch.
    /// </param>
    public static TokenLedger Of(TokenizedDocuments documents, TrainingSequences sequences, int nativeLength, int? target = null)
    {
        var (used, prompts, longest, longer) = (0L, 0L, 0, 0L);
        foreach (var spans in sequences.Spans())
        {
            var row = spans.Sum(span => span.Length);
            used += row;
            prompts += spans.Sum(span => Math.Clamp(documents.Prompt(span.Document) - span.Offset, 0, span.Length));
            foreach (var length in sequences.AttentionCrosses ? [row] : spans.Select(span => span.Length))
            {
                longest = Math.Max(longest, length);
                longer += length > nativeLength ? 1 : 0;
            }
        }

        var counts = Count(documents, sequences);
        return new TokenLedger(
            sequences.Cutoff, nativeLength, sequences.Packing,
            counts,
            new TokenCounts(documents.Tokens, documents.SpecialTokens, used, documents.Tokens - used, ((long)sequences.Count * sequences.Cutoff) - used, prompts),
            new SequenceCounts(sequences.Count, longest, longer),
            [.. Warn(documents, sequences, nativeLength, target, longest), .. WarnOfPrompts(documents, sequences, counts)],
            TrainedCounts.None(nativeLength, target ?? sequences.Cutoff));
    }

    /// <summary>The ledger as JSON, keys in snake_case.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>The ledger that <see cref="ToJson"/> wrote.</summary>
    public static TokenLedger FromJson(string json) =>
        JsonSerializer.Deserialize<TokenLedger>(json, Json) ?? throw new JsonException("a ledger is an object");

    private static DocumentCounts Count(TokenizedDocuments documents, TrainingSequences sequences)
    {
        var (truncated, split, withoutCompletion) = (0L, 0L, 0L);
        foreach (var d in Enumerable.Range(0, documents.Count).Where(d => documents.Length(d) > sequences.Cutoff))
        {
            if (sequences.Packing == Packing.Concat || (sequences.Packing == Packing.Documents && documents.Prompt(d) == 0))
            {
                split++;
            }
            else if (documents.Kept(d, sequences.Cutoff) > 0)
            {
                truncated++;
            }
            else
            {
                withoutCompletion++;
            }
        }

        return new DocumentCounts(documents.Count + documents.EmptyDocuments, documents.EmptyDocuments, truncated, split, withoutCompletion);
    }

    private static IEnumerable<string> WarnOfPrompts(TokenizedDocuments documents, TrainingSequences sequences, DocumentCounts counts)
    {
        if (counts.WithoutCompletion > 0)
        {
            var first = Enumerable.Range(0, documents.Count).First(d => documents.Kept(d, sequences.Cutoff) == 0);
            yield return $"{counts.WithoutCompletion} of {counts.Read} records are left out, for their prompts fill cutoff_len; the first is {documents.Describe(first)}, "
                + $"whose prompt has {documents.Prompt(first)} tokens; use a longer cutoff_len or shorter prompts";
        }

        var cut = counts.Truncated == 0 ? [] : Enumerable.Range(0, documents.Count)
            .Where(d => documents.Prompt(d) > 0 && documents.Kept(d, sequences.Cutoff) is > 0 and var kept && kept < documents.Length(d)).ToList();
        if (cut.Count > 0)
        {
            yield return $"the completions of {cut.Count} of {counts.Read} records are cut off at cutoff_len and lose {cut.Sum(d => documents.Length(d) - sequences.Cutoff)} tokens, EOS with them";
        }
    }

    private static IEnumerable<string> Warn(
        TokenizedDocuments documents, TrainingSequences sequences, int native, int? target, int longest)
    {
        if ((target ?? longest) <= native)
        {
            yield return $"no sequence is longer than the native context of {native} tokens (the longest stretch that attention sees has {longest}): "
                + "this training cannot move the context limit; use a longer cutoff_len, longer documents, packing: concat, or positions: pose";
        }
        else if (sequences.AttentionCrosses && Enumerable.Range(0, documents.Count).Max(documents.Length) is var most && most <= native)
        {
            yield return $"the longest document has {most} tokens, no more than the native context of {native}: "
                + "sequences reach further only by joining documents, which have nothing to say to each other";
        }

        if (sequences.AttentionCrosses && documents.SpecialTokens == 0 && documents.Count > 1)
        {
            yield return "the tokenizer prescribes neither BOS nor EOS, so nothing marks where one joined document ends and the next begins";
        }
    }
}

/// <summary>Documents by what happened to them.</summary>
/// <param name="Read">All.</param>
/// <param name="Dropped">Empty or all white space; of records, the completion.</param>
/// <param name="Truncated">Longer than the cutoff and cut off there: all with packing: pad, records with a prompt with documents.</param>
/// <param name="Split">Longer than the cutoff and continued in another sequence.</param>
/// <param name="WithoutCompletion">Records left out because their prompt fills the cutoff.</param>
public sealed record DocumentCounts(long Read, long Dropped, long Truncated, long Split, long WithoutCompletion = 0);

/// <summary>Tokens of one epoch by what happened to them.</summary>
/// <param name="In">Of all documents, special tokens included.</param>
/// <param name="Markers">Of these, special tokens around the documents.</param>
/// <param name="Out">Standing in sequences.</param>
/// <param name="Truncated">Cut off.</param>
/// <param name="Padding">Padding in the sequences, not among those above.</param>
/// <param name="Prompts">Of those in sequences, tokens of prompts: read as context, not learned.</param>
public sealed record TokenCounts(long In, long Markers, long Out, long Truncated, long Padding, long Prompts = 0);

/// <summary>The sequences of one epoch.</summary>
/// <param name="Count">How many.</param>
/// <param name="LongestSpan">Tokens of the longest stretch that attention sees as one.</param>
/// <param name="SpansBeyondNative">Such stretches that are longer than the native context.</param>
public sealed record SequenceCounts(long Count, int LongestSpan, long SpansBeyondNative);
