using CutoffLen.Common;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// Dropout of adapter inputs, in training only. A mask is drawn anew from (seed, step, micro-batch, adapter) each time
/// it is asked for, so recomputing a layer gives it again; on the CPU, so that every device gets the same.
/// </summary>
/// <param name="share">The share of inputs that is dropped.</param>
/// <param name="seed">The run's seed.</param>
public sealed class LoraDropout(double share, long seed)
{
    private (long Step, long MicroBatch)? current;

    /// <summary>Dropout is on, for one micro-batch, until the result is disposed.</summary>
    public IDisposable For(long step, long microBatch)
    {
        current = (step, microBatch);
        return new Ending(this);
    }

    /// <summary>The inputs of one adapter, some of them zero and the others larger.</summary>
    internal Tensor Apply(Tensor x, int adapter) =>
        share > 0 && current is { } batch ? x * Mask(x, new KeyedRandom(seed, "lora-dropout", batch.Step, batch.MicroBatch, adapter)) : x;

    private Tensor Mask(Tensor x, KeyedRandom random)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(random.NextBits() >> 1);
        var kept = rand(x.shape, ScalarType.Float32, generator: generator).ge(share);
        return (kept.to(ScalarType.Float32) / (1 - share)).to(x.dtype).to(x.device).MoveToOuterDisposeScope();
    }

    private sealed class Ending(LoraDropout dropout) : IDisposable
    {
        public void Dispose() => dropout.current = null;
    }
}
