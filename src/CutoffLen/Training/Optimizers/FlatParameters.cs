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
/// and an all-reduce are a few large operations. The model is built around the views (<see cref="View"/>). Autograd adds
/// into the gradients in place.
/// </summary>
public sealed class FlatParameters : IDisposable
{
    private readonly Dictionary<string, (long Offset, long[] Shape)> layout = [];

    /// <summary>Allocates the buffers. The caller copies the values into the views.</summary>
    public FlatParameters(IReadOnlyList<ParameterGroup> groups, ScalarType dtype, Device device)
    {
        Groups = groups;
        foreach (var parameter in groups.SelectMany(g => g.Parameters))
        {
            layout.Add(parameter.Name, (Count, parameter.Shape));
            Count += parameter.Count;
        }

        Values = empty([Count], dtype, device).DetachFromDisposeScope();
        Gradients = zeros([Count], dtype, device).DetachFromDisposeScope();
    }

    /// <summary>The groups in the order of their elements.</summary>
    public IReadOnlyList<ParameterGroup> Groups { get; }

    /// <summary>The number of elements.</summary>
    public long Count { get; }

    /// <summary>[count] all values.</summary>
    public Tensor Values { get; }

    /// <summary>[count] all gradients.</summary>
    public Tensor Gradients { get; }

    /// <summary>The names in the order of the buffers.</summary>
    public IEnumerable<string> Names => layout.Keys;

    /// <summary>Whether a parameter is in the buffers: whether it is trained.</summary>
    public bool Contains(string name) => layout.ContainsKey(name);

    /// <summary>The view of a parameter's values.</summary>
    public Tensor View(string name) => ViewOf(Values, name);

    /// <summary>The view of a parameter's gradient.</summary>
    public Tensor GradientView(string name) => ViewOf(Gradients, name);

    /// <summary>A parameter's view into a buffer of the same layout, such as an optimizer's moments.</summary>
    public Tensor ViewOf(Tensor buffer, string name)
    {
        var (offset, shape) = layout[name];
        return buffer.narrow(0, offset, shape.Aggregate(1L, (a, b) => a * b)).view(shape);
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

    /// <summary>The Euclidean norm of all gradients; NaN or infinite when one is. Squares are summed in float32, slice by slice.</summary>
    /// <param name="gradients">[count] the gradients; null for <see cref="Gradients"/>.</param>
    public double GradientNorm(Tensor? gradients = null)
    {
        using var scope = NewDisposeScope();
        var sum = zeros([], ScalarType.Float64, Gradients.device);
        for (long at = 0; at < Count; at += SliceLength)
        {
            using var slice = NewDisposeScope();
            var part = (gradients ?? Gradients).narrow(0, at, Math.Min(SliceLength, Count - at)).to(ScalarType.Float32);
            sum.add_(part.dot(part));
        }

        return Math.Sqrt(sum.item<double>());
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
