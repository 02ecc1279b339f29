using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Float32 memory that blocked attention uses again for every piece of every layer: on fresh memory a CPU spends longer
/// on page faults than on the arithmetic.
/// </summary>
internal sealed class WideRoom : IDisposable
{
    private Tensor? room; // [the largest piece so far]

    /// <summary>Room of this shape; what was given out before is overwritten.</summary>
    public Tensor Take(long[] shape, Device device)
    {
        var count = shape.Aggregate(1L, (a, b) => a * b);
        if (room is null || room.shape[0] < count)
        {
            room?.Dispose();
            room = empty([count], ScalarType.Float32, device).DetachFromDisposeScope();
        }

        return room.narrow(0, 0, count).view(shape);
    }

    public void Dispose()
    {
        room?.Dispose();
        room = null;
    }
}
