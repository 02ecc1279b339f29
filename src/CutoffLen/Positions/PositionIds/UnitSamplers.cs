using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// SkipAlign (Wu et al., arXiv 2405.03939): positions are skipped at borders of the text's structure, inside and between
/// instruction and response (the paper's "skip all"). Units of a short text are then as far apart as in a long text, and each
/// unit stays contiguous.
/// </summary>
/// <remarks>
/// Of the paper the abstract was read, and a review that has ids P(m) + u with a bias u that grows from unit to unit, and skips
/// everywhere, inside turns only or between them only. No code is public, so the draws are ours. Each border is a skip with the
/// given probability, and at least one is. The cumulative skips are uniform draws from {0, ..., target - L} in ascending order.
/// A document without known borders is cut at one random token.
/// </remarks>
/// <param name="rate">Probability that a border becomes a skip, above 0, at most 1.</param>
public sealed class SkipAlignSampler(double rate = 0.5) : PositionIdSampler
{
    /// <summary>Units are lines, and the completion of a record.</summary>
    public override Func<string, bool> EndsUnit => text => text.Contains('\n');

    /// <inheritdoc/>
    protected override void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random)
    {
        if (ids.Length < 2)
        {
            return;
        }

        var skips = Skips(ids.Length, document, ref random);
        var totals = new int[skips.Count];
        foreach (ref var total in totals.AsSpan())
        {
            total = random.Between(0, document.Target - ids.Length);
        }

        Array.Sort(totals);
        for (var s = 0; s < skips.Count; s++)
        {
            Shift(ids[skips[s]..(s + 1 < skips.Count ? skips[s + 1] : ids.Length)], totals[s]);
        }
    }

    /// <summary>Indices within the document of the tokens before which positions are skipped.</summary>
    private List<int> Skips(int length, DocumentInRow document, ref KeyedRandom random)
    {
        if (document.Breaks.IsEmpty)
        {
            return [random.Between(1, length - 1)];
        }

        var skips = new List<int>();
        foreach (var border in document.Breaks)
        {
            if (random.NextUnit() < rate)
            {
                skips.Add(border - document.Start);
            }
        }

        return skips.Count > 0 ? skips : [document.Breaks[random.Between(0, document.Breaks.Length - 1)] - document.Start];
    }
}

/// <summary>
/// LongRecipe's position ids (arXiv 2409.00509): positions are skipped between sentences. The target - n skipped positions of a
/// document of n tokens are put between its sentences at random: sentences and skipped positions stand in a random order, but the
/// first sentence is moved to the front. Then the first r tokens get the positions 0 .. r - 1, with r uniform in {1, ..., (n + 1)/2}.
/// </summary>
/// <remarks>
/// From the authors' code (zhiyuanhubj/LongRecipe, preprocess_token_PI/FSProcessor.py and utils/preprocess_data.py, commit
/// bcc7692), whose sentences end at the tokens "." "?" "!" and line feed. A document without known sentences is cut at one
/// random token. The code's share of selected sentences (select_ratio) changes no position.
/// </remarks>
public sealed class LongRecipeSampler : PositionIdSampler
{
    /// <summary>Units are sentences.</summary>
    public override Func<string, bool> EndsUnit => text => text.Contains('\n') || text.Trim() is "." or "?" or "!";

    /// <inheritdoc/>
    protected override void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random)
    {
        if (ids.Length < 2)
        {
            return;
        }

        ReadOnlySpan<int> breaks = document.Breaks.IsEmpty ? [document.Start + random.Between(1, ids.Length - 1)] : document.Breaks;
        var slots = new int[breaks.Length + 1]; // of the sentences, among the skipped positions
        random.Choose(slots, document.Target - ids.Length + slots.Length);
        var plain = random.Between(1, (ids.Length + 1) / 2);
        for (var sentence = 1; sentence < slots.Length; sentence++)
        {
            var end = sentence < breaks.Length ? breaks[sentence] - document.Start : ids.Length;
            var start = Math.Max(breaks[sentence - 1] - document.Start, plain);
            if (start < end)
            {
                Shift(ids[start..end], slots[sentence] - sentence);
            }
        }
    }
}
