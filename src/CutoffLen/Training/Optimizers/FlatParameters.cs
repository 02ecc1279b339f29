using CutoffLen.Distributed;
using static TorchSharp.torch;

namespace CutoffLen.Training.Optimizers;

/// <summary>A parameter of the flat buffers.</summary>
/// <param name="Name">Hugging Face's or PEFT's name.</param>
/// <param name="Shape">The parameter's shape.</param>
public sealed record ParameterShape(string Name, long[] Shape)
{
    /// <summary>The number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (a, b) => a * b);
}

/// <summary>Parameters that the optimizer treats alike, neighbours in the flat buffers.</summary>
/// <param name="Name">What the group is called in logs.</param>
/// <param name="Parameters">The group's parameters, in order.</param>
/// <param name="WeightDecays">Whether weight decay applies: to matrices only.</param>
/// <param name="LearningRateFactor">Multiplies the learning rate (LoRA+, arXiv 2402.12354).</param>
public sealed record ParameterGroup(
    string Name, IReadOnlyList<ParameterShape> Parameters, bool WeightDecays, double LearningRateFactor = 1)
{
    /// <summary>The number of elements of all its parameters.</summary>
    public long Count => Parameters.Sum(p => p.Count);

    /// <summary>Matrices decay, vectors (norms, biases) do not.</summary>
    public static IReadOnlyList<ParameterGroup> ByShape(IEnumerable<ParameterShape> parameters) =>
        [.. parameters.GroupBy(p => p.Shape.Length > 1).OrderByDescending(g => g.Key)
            .Select(g => new ParameterGroup(g.Key ? "matrices" : "vectors", [.. g], g.Key))];
}

/// <summary>
/// The trainable parameters as views of one buffer, and their gradients as views of another. So clipping, the optimizer
/// and what ranks exchange are a few large operations. The model is built around the views (<see cref="View"/>). The
/// backward pass adds into the gradients in place.
/// </summary>
/// <remarks>
/// Every rank has all values. Each owns a shard of the buffers, which it alone steps: ZeRO stage 1 (Rajbhandari et al., arXiv
/// 1910.02054, section 5.1). The buffers end in zeros, so that shards are of one length.
/// </remarks>
public sealed class FlatParameters : IDisposable
{
    private const long ShardMultiple = 16; // elements, so that shards begin where vector instructions like it

    private readonly Dictionary<string, (long Offset, ParameterShape Parameter)> layout = [];

    /// <summary>Allocates the buffers. The caller copies the values into the views.</summary>
    /// <param name="groups">The parameters.</param>
    /// <param name="dtype">Of values and gradients.</param>
    /// <param name="device">Where they are.</param>
    /// <param name="ranks">The ranks that train them together; null for one.</param>
    public FlatParameters(IReadOnlyList<ParameterGroup> groups, ScalarType dtype, Device device, ICollectives? ranks = null)
    {
        (Groups, Ranks) = (groups, ranks ?? SingleRank.Instance);
        foreach (var parameter in groups.SelectMany(g => g.Parameters))
        {
            layout.Add(parameter.Name, (Count, parameter));
            Count += parameter.Count;
        }

        ShardLength = Ranks.Size == 1 ? Count : (Count + (ShardMultiple * Ranks.Size) - 1) / (ShardMultiple * Ranks.Size) * ShardMultiple;
        Values = empty([ShardLength * Ranks.Size], dtype, device).DetachFromDisposeScope();
        Gradients = zeros([ShardLength * Ranks.Size], dtype, device).DetachFromDisposeScope();
        using var noGrad = no_grad();
        using var padding = Values.narrow(0, Count, (ShardLength * Ranks.Size) - Count);
        padding.zero_();
    }

    /// <summary>The groups in the order of their elements.</summary>
    public IReadOnlyList<ParameterGroup> Groups { get; }

    /// <summary>The ranks that train the parameters together.</summary>
    public ICollectives Ranks { get; }

    /// <summary>The number of elements, without padding.</summary>
    public long Count { get; }

    /// <summary>Elements of a rank's shard.</summary>
    public long ShardLength { get; }

    /// <summary>The first element of this rank's shard.</summary>
    public long ShardStart => Ranks.Rank * ShardLength;

    /// <summary>[Size * shard] all values.</summary>
    public Tensor Values { get; }

    /// <summary>[Size * shard] all gradients of this rank.</summary>
    public Tensor Gradients { get; }

    /// <summary>The names in the order of the buffers.</summary>
    public IEnumerable<string> Names => layout.Keys;

    /// <summary>Whether a parameter is in the buffers: whether it is trained.</summary>
    public bool Contains(string name) => layout.ContainsKey(name);

    /// <summary>A parameter's shape.</summary>
    public long[] ShapeOf(string name) => layout[name].Parameter.Shape;

    /// <summary>The view of a parameter's values.</summary>
    public Tensor View(string name) => ViewOf(Values, name);

    /// <summary>The view of a parameter's gradient.</summary>
    public Tensor GradientView(string name) => ViewOf(Gradients, name);

    /// <summary>A parameter's view into a buffer of the same layout, such as an optimizer's moments.</summary>
    public Tensor ViewOf(Tensor buffer, string name)
    {
        var (offset, parameter) = layout[name];
        return buffer.narrow(0, offset, parameter.Count).view(parameter.Shape);
    }

    /// <summary>[shard] this rank's part of a buffer of all elements, a view.</summary>
    public Tensor ShardOf(Tensor buffer) => buffer.narrow(0, ShardStart, ShardLength);

    /// <summary>The part of a parameter that is in this rank's shard; none where Count is not above 0.</summary>
    public (long InParameter, long InShard, long Count) OwnPart(string name)
    {
        var (offset, parameter) = layout[name];
        var first = Math.Max(offset, ShardStart);
        var end = Math.Min(offset + parameter.Count, ShardStart + ShardLength);
        return (first - offset, first - ShardStart, end - first);
    }

    /// <summary>Gives every rank the values that each has in its own shard.</summary>
    public void GatherValues()
    {
        if (Ranks.Size > 1)
        {
            using var shard = ShardOf(Values);
            Ranks.AllGather(shard, Values);
        }
    }

    /// <summary>Elements of a parameter, of a buffer of which each rank has its shard. Every rank calls it and gets them.</summary>
    /// <param name="shard">[shard] this rank's.</param>
    /// <param name="name">The parameter.</param>
    /// <param name="at">The first element in the parameter.</param>
    /// <param name="count">How many.</param>
    public Tensor Collect(Tensor shard, string name, long at, long count)
    {
        var first = layout[name].Offset + at;
        if (Ranks.Size == 1)
        {
            return shard.narrow(0, first, count);
        }

        var result = empty([count], shard.dtype, shard.device);
        for (long owner = first / ShardLength, from = first; from < first + count; owner++)
        {
            var to = Math.Min(first + count, (owner + 1) * ShardLength);
            using var part = result.narrow(0, from - first, to - from);
            if (owner == Ranks.Rank)
            {
                using var own = shard.narrow(0, from - ShardStart, to - from);
                part.copy_(own);
            }

            Ranks.Broadcast(part, (int)owner);
            from = to;
        }

        return result;
    }

    /// <summary>Makes the module's parameters of these names trainable, with their gradients in the buffer.</summary>
    public void Attach(IEnumerable<(string Name, TorchSharp.Modules.Parameter Parameter)> parameters)
    {
        foreach (var (name, parameter) in parameters)
        {
            if (Contains(name))
            {
                parameter.requires_grad = true;
                parameter.grad = GradientView(name);
            }
        }
    }

    /// <summary>
    /// The Euclidean norm of all gradients, over all ranks; NaN or infinite when one is. Squares are summed in float32, slice by
    /// slice.
    /// </summary>
    /// <param name="gradients">[shard] this rank's.</param>
    public double GradientNorm(Tensor gradients)
    {
        using var scope = NewDisposeScope();
        var sum = zeros([], ScalarType.Float64, Gradients.device);
        for (long at = 0; at < ShardLength; at += SliceLength)
        {
            using var slice = NewDisposeScope();
            var part = gradients.narrow(0, at, Math.Min(SliceLength, ShardLength - at)).to(ScalarType.Float32);
            sum.add_(part.dot(part));
        }

        return Math.Sqrt(Ranks.Sum(sum.item<double>()));
    }

    /// <summary>Elements of a slice of buffer-wide arithmetic: what fits a cache on a CPU, many on a GPU.</summary>
    internal long SliceLength => SliceElements(Values.device.type != TorchSharp.DeviceType.CPU);

    internal static long SliceElements(bool onGpu) => onGpu ? 1 << 26 : 1 << 19;

    /// <inheritdoc/>
    public void Dispose()
    {
        Values.Dispose();
        Gradients.Dispose();
    }
}
