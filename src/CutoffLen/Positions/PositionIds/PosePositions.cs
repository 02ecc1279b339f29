using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// PoSE (arXiv 2309.10400, section 3): a document of L tokens is cut into N chunks of random lengths, and chunk i is
/// moved up by a bias u_i drawn uniformly from {u_(i-1), ..., target - L}, with u_0 = 0 (equations 3 and 4). Chunk
/// lengths follow the paper's figure 6: l_i uniform from 1 to what leaves every later chunk a token. (The released
/// code, for N = 2 alone, keeps the first chunk within the first half.) The text of the chunks stays contiguous, the
/// paper's choice v_i = 0; its appendix A finds that the choice matters little.
/// </summary>
/// <param name="chunks">N; a shorter document gets one chunk a token. The paper uses 2.</param>
public sealed class PosePositions(int chunks = 2) : TrainingPositions
{
    /// <inheritdoc/>
    protected override void Place(Span<int> ids, DocumentPlace document, ref KeyedRandom random)
    {
        var count = Math.Min(chunks, ids.Length);
        var (start, bias) = (0, 0);
        for (var chunk = 0; chunk < count; chunk++)
        {
            var later = count - chunk - 1;
            var length = later == 0 ? ids.Length - start : random.Between(1, ids.Length - start - later);
            bias = chunk == 0 ? 0 : random.Between(bias, document.Target - ids.Length);
            foreach (ref var id in ids.Slice(start, length))
            {
                id += bias;
            }

            start += length;
        }
    }
}
