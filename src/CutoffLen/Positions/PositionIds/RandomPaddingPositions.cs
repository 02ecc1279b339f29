using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// Random padding (Tao et al., arXiv 2305.04859, section 3): an input of n tokens is padded to the target, and of the
/// m = target - n padding tokens a number, uniform in {0, ..., m}, goes in front of it instead of behind, so that rear
/// positions are trained as often as front ones. Padding is never attended to, so only the ids of the real tokens
/// tell, and these are moved by the number in front without the padding being made. Unlike SHAPE's, the range grows as
/// the document gets shorter.
/// </summary>
public sealed class RandomPaddingPositions : TrainingPositions
{
    /// <inheritdoc/>
    protected override void Place(Span<int> ids, DocumentPlace document, ref KeyedRandom random)
    {
        var front = random.Between(0, document.Target - ids.Length);
        foreach (ref var id in ids)
        {
            id += front;
        }
    }
}
