using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// Randomized positional encodings (Ruoss et al., arXiv 2305.16843, section 3): the n tokens of a document get n of
/// the target's positions, drawn without replacement, each set equally likely, in ascending order. The paper draws
/// one set a training step; here each document has its own, so that a step covers more of the range.
/// </summary>
public sealed class RandomizedPositions : TrainingPositions
{
    /// <inheritdoc/>
    protected override void Place(Span<int> ids, DocumentPlace document, ref KeyedRandom random)
    {
        // Knuth's selection sampling (The Art of Computer Programming 2, algorithm S): ascending by construction.
        for (int position = 0, chosen = 0; chosen < ids.Length; position++)
        {
            if (random.Below(document.Target - position) < ids.Length - chosen)
            {
                ids[chosen++] = position;
            }
        }
    }
}
