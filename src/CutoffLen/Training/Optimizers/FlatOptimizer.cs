using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Training.Optimizers;

/// <summary>
/// An optimizer over flat buffers. It steps float32 weights: the model's own buffer where that is float32, else a
/// master copy. It writes the master's rounded values into the model. All arithmetic is in place, over slices that fit a
/// cache. Master and state may be offloaded to host memory; slices are then copied to and fro. Of several ranks each has
/// master and state of its own shard, steps it, and gets the other shards' values from their ranks.
/// </summary>
public abstract class FlatOptimizer : IDisposable
{
    private readonly FlatParameters parameters;
    private readonly double weightDecay;
    private readonly Tensor values; // [shard] this rank's part of the model's
    private readonly List<(string Name, Tensor Buffer)> state = [];

    /// <summary>Creates the optimizer at the parameters' present values.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="weightDecay">Decoupled weight decay of the groups that decay.</param>
    /// <param name="inHostMemory">Whether master and state are kept in host memory.</param>
    private protected FlatOptimizer(FlatParameters parameters, double weightDecay, bool inHostMemory)
    {
        (this.parameters, this.weightDecay) = (parameters, weightDecay);
        using var scope = NewDisposeScope();
        var device = inHostMemory ? CPU : parameters.Values.device;
        values = parameters.ShardOf(parameters.Values).DetachFromDisposeScope();
        OwnsMaster = values.dtype != ScalarType.Float32 || device.type != values.device.type;
        Master = OwnsMaster ? values.to(ScalarType.Float32).to(device).DetachFromDisposeScope() : values;
    }

    /// <summary>[shard] float32 weights.</summary>
    public Tensor Master { get; }

    /// <summary>Whether <see cref="Master"/> is a copy and not the model's own buffer.</summary>
    public bool OwnsMaster { get; }

    /// <summary>Steps made.</summary>
    public long Steps { get; set; }

    /// <summary>What a checkpoint must keep besides the weights: [shard] float32 each, under PyTorch's names.</summary>
    public IReadOnlyList<(string Name, Tensor Buffer)> State => state;

    /// <summary>One step.</summary>
    /// <param name="learningRate">The rate, which groups multiply by their factor.</param>
    /// <param name="gradientFactor">What gradients are multiplied by to clip them, at most 1.</param>
    /// <param name="gradients">[shard] the gradients, which may be overwritten; null for the parameters' own, of one rank.</param>
    public void Step(double learningRate, double gradientFactor, Tensor? gradients = null)
    {
        using var noGrad = no_grad();
        Steps++;
        var offset = -parameters.ShardStart; // of the group in the shard
        foreach (var group in parameters.Groups)
        {
            var rate = learningRate * group.LearningRateFactor;
            var decay = group.WeightDecays ? weightDecay : 0;
            var end = Math.Min(offset + group.Count, parameters.ShardLength);
            for (var at = Math.Max(0, offset); at < end; at += parameters.SliceLength)
            {
                var slice = (at, Math.Min(parameters.SliceLength, end - at));
                StepSlice(slice, gradients ?? parameters.Gradients, rate, decay, gradientFactor);
            }

            offset += group.Count;
        }

        parameters.GatherValues();
    }

    /// <summary>Writes the master's values, rounded, into the model, after a checkpoint was loaded.</summary>
    public void WriteMaster()
    {
        using var noGrad = no_grad();
        values.copy_(Master);
        parameters.GatherValues();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        state.ForEach(entry => entry.Buffer.Dispose());
        Master.Dispose();
        values.Dispose();

        GC.SuppressFinalize(this);
    }

    /// <summary>A state buffer of zeros.</summary>
    private protected Tensor NewState(string name)
    {
        var buffer = zeros_like(Master).DetachFromDisposeScope();
        state.Add((name, buffer));
        return buffer;
    }

    /// <summary>Steps a slice of the weights in place; the gradient is float32 and may be overwritten.</summary>
    /// <param name="weights">The slice of <see cref="Master"/>.</param>
    /// <param name="gradient">Its gradient.</param>
    /// <param name="rate">The group's learning rate.</param>
    /// <param name="decay">The group's decoupled weight decay.</param>
    /// <param name="slice">Takes the same slice of a state buffer.</param>
    private protected abstract void Update(Tensor weights, Tensor gradient, double rate, double decay, Func<Tensor, Tensor> slice);

    private void StepSlice((long Offset, long Count) slice, Tensor gradients, double rate, double decay, double gradientFactor)
    {
        using var scope = NewDisposeScope();
        var gradient = Slice(gradients).to(ScalarType.Float32).to(Master.device);
        if (gradientFactor != 1)
        {
            gradient.mul_(Kept(gradientFactor));
        }

        var weights = Slice(Master);
        Update(weights, gradient, rate, decay, Slice);
        if (OwnsMaster)
        {
            Slice(values).copy_(weights);
        }

        Tensor Slice(Tensor buffer) => buffer.narrow(0, slice.Offset, slice.Count);
    }
}
