using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using CutoffLen.Training.Optimizers;
using TorchSharp.Modules;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// Low-rank adapters on a model's projections (Hu et al., arXiv 2106.09685): <c>x W^T + scale * dropout(x) A^T B^T</c>.
/// Parameters have PEFT's names without its prefix: <c>model.layers.0.self_attn.q_proj.lora_A.weight</c>.
/// </summary>
public sealed class LoraAdapters : IDisposable
{
    private readonly long seed;
    private readonly AdapterTensors tensors;
    private readonly List<LoraAdapter> attached = [];

    /// <summary>Finds the modules in a model.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="adapters">Which modules get adapters or are trained whole.</param>
    /// <param name="seed">Of the initial values and of dropout.</param>
    /// <exception cref="UserException">The model lacks a module that is named.</exception>
    public LoraAdapters(LlamaConfig config, AdapterConfig adapters, long seed)
    {
        (Config, this.seed, Dropout) = (adapters, seed, new LoraDropout(adapters.LoraDropout, seed));
        tensors = AdapterTensors.Of(config, adapters);
    }

    /// <summary>Rank, scale, modules.</summary>
    public AdapterConfig Config { get; }

    /// <summary>Dropout of the adapters' inputs.</summary>
    public LoraDropout Dropout { get; }

    /// <summary>What is trained: all A, all B (faster under LoRA+), and the modules that are trained whole.</summary>
    public IReadOnlyList<ParameterGroup> Groups(double learningRateRatio) =>
    [
        new("lora_A", [.. tensors.TargetModules.Select(p => new ParameterShape(AdapterTensors.A(p.Projection), p.A))], WeightDecays: true),
        new("lora_B", [.. tensors.TargetModules.Select(p => new ParameterShape(AdapterTensors.B(p.Projection), p.B))], WeightDecays: true, learningRateRatio),
        .. ParameterGroup.ByShape(tensors.ModulesToSave.Select(weight => new ParameterShape(weight.Name, weight.Shape))),
    ];

    /// <summary>
    /// Attaches the adapters to a network, with PEFT's initial values: A is uniform (kaiming with a = sqrt(5)), B is zero.
    /// So nothing changes yet.
    /// </summary>
    public void AttachTo(LlamaForCausalLM network, FlatParameters parameters)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var projections = network.named_modules().Where(m => m.module is CutoffLen.Models.Llama.Linear).ToDictionary(m => m.name, m => (CutoffLen.Models.Llama.Linear)m.module);
        for (var n = 0; n < tensors.TargetModules.Count; n++)
        {
            var (projection, shape, _) = tensors.TargetModules[n];
            var (a, b) = (AdapterTensors.A(projection), AdapterTensors.B(projection));
            parameters.View(a).copy_(InitialA(shape, n));
            parameters.View(b).zero_();
            var adapter = new LoraAdapter(Trained(parameters, a), Trained(parameters, b), Config.Scale, Dropout, n);
            projections[projection].Adapter = adapter;
            attached.Add(adapter);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => attached.ForEach(adapter => adapter.Dispose());

    private Tensor InitialA(long[] shape, int adapter)
    {
        using var generator = new Generator(new KeyedRandom(seed, "lora-init", adapter).NextBits() >> 1);
        return (rand(shape, ScalarType.Float32, generator: generator) * Kept(2) - Kept(1)) / Kept(Math.Sqrt(shape[1]));
    }

    private static Parameter Trained(FlatParameters parameters, string name)
    {
        var parameter = new Parameter(parameters.View(name).DetachFromDisposeScope(), requires_grad: false);
        parameters.Attach([(name, parameter)]);
        return parameter;
    }

    /// <summary>The adapter of one projection.</summary>
    private sealed class LoraAdapter(Parameter a, Parameter b, double scale, LoraDropout dropout, int number) : ILinearAdapter, IDisposable
    {
        // a [r, in], b [out, r]

        public void AddForward(Tensor x, Tensor output, long firstToken)
        {
            using var scope = NewDisposeScope();
            output.add_(dropout.Apply(x, number, firstToken).mm(a.t()).mm(b.t()), Kept(scale));
        }

        public void AddBackward(Tensor x, Tensor gradient, Tensor inputGradient, long firstToken)
        {
            using var scope = NewDisposeScope();
            var dropped = dropout.Apply(x, number, firstToken); // [n, in]
            var reduced = dropped.mm(a.t()); // [n, r]
            b.grad!.add_(gradient.t().mm(reduced), Kept(scale));
            var reducedGradient = gradient.mm(b).mul_(Kept(scale)); // [n, r]
            a.grad!.add_(reducedGradient.t().mm(dropped));
            inputGradient.add_(dropout.Apply(reducedGradient.mm(a), number, firstToken));
        }

        public void Dispose()
        {
            a.Dispose();
            b.Dispose();
        }
    }
}

/// <summary>
/// Dropout of adapter inputs, in training only. A token's mask is drawn from (seed, step, adapter, the token's number in the step)
/// each time. So it does not depend on micro-batches, on ranks or on chunks, and a recomputed layer gets the same one. It is drawn on
/// the CPU, so every device gets the same one.
/// </summary>
/// <param name="probability">Of an input to be dropped.</param>
/// <param name="seed">The run's seed.</param>
public sealed class LoraDropout(double probability, long seed)
{
    private const int Block = 64; // tokens whose masks come from one generator, one after the other

    private (long Step, long FirstToken, int[]? Indices)? current;

    /// <summary>Turns dropout on for one micro-batch, until the result is disposed.</summary>
    /// <param name="step">The optimizer step.</param>
    /// <param name="firstToken">The number of the micro-batch's first token among those of the step.</param>
    /// <param name="indices">The index of each token of the pass among those of the micro-batch; null where the pass has all.</param>
    public IDisposable For(long step, long firstToken, int[]? indices = null)
    {
        current = (step, firstToken, indices);
        return new Ending(this);
    }

    /// <summary>Inputs [n, in] of one adapter, or their gradients, after dropout; the first row is token <paramref name="first"/> of the pass.</summary>
    internal Tensor Apply(Tensor x, int adapter, long first)
    {
        if (probability == 0 || current is not { } batch)
        {
            return x;
        }

        using var scope = NewDisposeScope();
        var masks = new List<Tensor>();
        for (long row = 0, count; row < x.shape[0]; row += count)
        {
            var token = TokenOf(row);
            for (count = 1; row + count < x.shape[0] && (token + count) % Block != 0 && TokenOf(row + count) == token + count;)
            {
                count++;
            }

            masks.Add(Mask(x.shape[1], new KeyedRandom(seed, "lora-dropout", batch.Step, adapter, token / Block)).narrow(0, token % Block, count));
        }

        return (x * cat(masks).to(x.dtype).to(x.device)).MoveToOuterDisposeScope();

        long TokenOf(long row) => batch.FirstToken + (batch.Indices?[first + row] ?? first + row);
    }

    /// <summary>The masks [block, in] of the tokens of a block: 0, or one over the share that is kept.</summary>
    private Tensor Mask(long width, KeyedRandom random)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(random.NextBits() >> 1);
        var kept = rand([Block, width], ScalarType.Float32, generator: generator).ge(Kept(probability));
        return (kept.to(ScalarType.Float32) / Kept(1 - probability)).MoveToOuterDisposeScope();
    }

    private sealed class Ending(LoraDropout dropout) : IDisposable
    {
        public void Dispose() => dropout.current = null;
    }
}
