using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// SkipAlign (Wu et al., arXiv 2405.03939): positions are skipped at borders of the text's structure, inside and
/// between instruction and response alike (the paper's "skip all"), so that units of short text stand as far apart as
/// in long text while each unit stays contiguous. The authors have published no code; the draws are ours: each border
/// is a skip with the given probability, at least one is, and the running totals of the skips are uniform draws from
/// {0, ..., target - L} in ascending order. A document without known borders is cut at one random token.
/// </summary>
/// <param name="rate">Probability that a border becomes a skip, above 0, at most 1.</param>
public sealed class SkipAlignPositions(double rate = 0.5) : TrainingPositions
{
    /// <inheritdoc/>
    protected override void Place(Span<int> ids, DocumentPlace document, ref KeyedRandom random)
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
            var end = s + 1 < skips.Count ? skips[s + 1] : ids.Length;
            foreach (ref var id in ids[skips[s]..end])
            {
                id += totals[s];
            }
        }
    }

    /// <summary>The tokens, counted in the document, before which positions are skipped.</summary>
    private List<int> Skips(int length, DocumentPlace document, ref KeyedRandom random)
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
