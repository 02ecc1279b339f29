using CutoffLen.Distributed;
using CutoffLen.Training.Optimizers;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// The gradient of an accumulated batch. The backward pass adds into the parameters' own buffer, which is exact enough in float32.
/// Bfloat16 would round after every micro-batch, so its gradients are added to a float32 buffer. Sums over ranks are float32 too.
/// </summary>
internal sealed class GradientSum : IDisposable
{
    private readonly FlatParameters parameters;
    private readonly Tensor? float32; // [Size * shard] float32
    private readonly Tensor? shard; // [shard] float32

    public GradientSum(FlatParameters parameters, int microBatches)
    {
        this.parameters = parameters;
        float32 = microBatches > 1 && parameters.Values.dtype != ScalarType.Float32
            ? zeros(parameters.Values.shape, ScalarType.Float32, parameters.Values.device).DetachFromDisposeScope()
            : null;
        shard = parameters.Ranks.Size > 1
            ? empty([parameters.ShardLength], ScalarType.Float32, parameters.Values.device).DetachFromDisposeScope()
            : null;
    }

    /// <summary>[Size * shard] this rank's sum so far.</summary>
    private Tensor Total => float32 ?? parameters.Gradients;

    /// <summary>Adds what the last micro-batch left in the parameters' gradients.</summary>
    public void Add()
    {
        if (float32 is null)
        {
            return;
        }

        using var noGrad = no_grad();
        float32.add_(parameters.Gradients);
        parameters.Gradients.zero_();
    }

    /// <summary>[shard] this rank's part of the sum over all ranks.</summary>
    public Tensor Reduce()
    {
        if (shard is null)
        {
            return Total;
        }

        parameters.Ranks.ReduceScatter(Total, shard);
        return shard;
    }

    public void Clear()
    {
        using var noGrad = no_grad();
        Total.zero_();
    }

    /// <summary>The parameter with the largest gradient on any rank. Every rank calls it.</summary>
    public (string Name, double Norm) LargestOfAll()
    {
        var (ranks, names, (name, norm)) = (parameters.Ranks, parameters.Names.ToList(), Largest());
        var all = new double[2 * ranks.Size]; // by rank the parameter's number, then by rank its norm
        (all[ranks.Rank], all[ranks.Size + ranks.Rank]) = (names.IndexOf(name), norm);
        all = ranks.Sum(all);
        var largest = Enumerable.Range(0, ranks.Size).MaxBy(rank => double.IsFinite(all[ranks.Size + rank]) ? all[ranks.Size + rank] : double.PositiveInfinity);
        return (names[(int)all[largest]], all[ranks.Size + largest]);
    }

    /// <summary>The same on this rank. A gradient that is not finite counts as larger than any that is.</summary>
    public (string Name, double Norm) Largest()
    {
        var largest = (Name: "", Norm: -1.0);
        foreach (var name in parameters.Names)
        {
            using var scope = NewDisposeScope();
            var gradient = parameters.ViewOf(Total, name).to(ScalarType.Float32).flatten();
            double norm = Math.Sqrt(gradient.dot(gradient).item<float>());
            // Gradients flow from the last layer to the first, so the last of several that are not finite is the source.
            if (!double.IsFinite(norm) || (double.IsFinite(largest.Norm) && norm > largest.Norm))
            {
                largest = (name, norm);
            }
        }

        return largest;
    }

    public void Dispose()
    {
        float32?.Dispose();
        shard?.Dispose();
    }
}
