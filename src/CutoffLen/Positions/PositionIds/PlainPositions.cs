using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>Ids as they are counted: 0, 1, 2, ... in every document.</summary>
public sealed class PlainPositions : TrainingPositions
{
    /// <inheritdoc/>
    protected override void Place(Span<int> ids, DocumentPlace document, ref KeyedRandom random) { }
}
