using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// SHAPE (Kiyono et al., arXiv 2109.05644, section 3): all positions of a sequence are moved up by one k, uniform in
/// {0, ..., K}. K is target - row length, the same for every document, so that the longest still fits. Methods that
/// only see distances are unmoved by it, up to rounding.
/// </summary>
public sealed class ShapePositions : TrainingPositions
{
    /// <inheritdoc/>
    protected override void Place(Span<int> ids, DocumentPlace document, ref KeyedRandom random)
    {
        var shift = random.Between(0, document.Target - document.RowLength);
        foreach (ref var id in ids)
        {
            id += shift;
        }
    }
}
