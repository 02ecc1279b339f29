using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Hardware;
using CutoffLen.Models.Llama;
using CutoffLen.Training.Optimizers;
using TorchSharp.Modules;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// Low-rank adapters in training (Hu et al., arXiv 2106.09685): <c>x W^T + scale * dropout(x) A^T B^T</c> on linear layers,
/// <c>E[t] + scale * A[:, t]^T B^T</c> on the embedding. Parameters have PEFT's names without its prefix:
/// <c>model.layers.0.self_attn.q_proj.lora_A.weight</c>.
/// </summary>
public sealed class LoraAdapters : IDisposable
{
    private readonly long seed;
    private readonly List<Parameter> trained = [];

    /// <summary>Finds the modules in a model.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="adapters">Which modules get adapters or are trained whole.</param>
    /// <param name="seed">Of the initial values and of dropout.</param>
    /// <exception cref="UserException">The model lacks a module that is named.</exception>
    public LoraAdapters(LlamaConfig config, AdapterConfig adapters, long seed)
    {
        (this.seed, Dropout) = (seed, new LoraDropout(adapters.LoraDropout, seed));
        Config = Tied(config, adapters);
        Tensors = AdapterTensors.Of(config, Config);
        CheckFound(config, adapters);
    }

    /// <summary>Rank, scale, modules. A tied embedding that is trained whole stays tied (ensure_weight_tying).</summary>
    public AdapterConfig Config { get; }

    /// <summary>Their tensors.</summary>
    public AdapterTensors Tensors { get; }

    /// <summary>Dropout of the adapters' inputs.</summary>
    public LoraDropout Dropout { get; }

    /// <summary>
    /// What is trained: all A, all B (faster under LoRA+), and the modules that are trained whole. LoRA+ leaves the embedding's
    /// adapter at the common rate.
    /// </summary>
    public IReadOnlyList<ParameterGroup> Groups(double learningRateRatio)
    {
        var modules = Tensors.TargetModules;
        ParameterGroup[] adapters =
        [
            new("lora_A", Shapes(modules.SelectMany(m => m.IsEmbedding ? [m.A, m.B] : new[] { m.A })), WeightDecays: true),
            new("lora_B", Shapes(modules.Where(m => !m.IsEmbedding).Select(m => m.B)), WeightDecays: true, learningRateRatio),
        ];
        return [.. adapters.Where(group => group.Count > 0), .. ParameterGroup.ByShape(Shapes(Tensors.ModulesToSave))];

        static List<ParameterShape> Shapes(IEnumerable<(string Name, long[] Shape)> tensors) => [.. tensors.Select(tensor => new ParameterShape(tensor.Name, tensor.Shape))];
    }

    /// <summary>
    /// Attaches the adapters to a network, with PEFT's initial values. Of linear layers A is uniform (kaiming with a = sqrt(5)),
    /// B zero; of the embedding A is zero, B standard normal. So nothing changes yet.
    /// </summary>
    public void AttachTo(LlamaForCausalLM network, FlatParameters parameters)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var linear = new List<(string, ILinearAdapter)>();
        foreach (var (number, module) in Tensors.TargetModules.Index())
        {
            var (a, b) = (Trained(parameters, module.A.Name), Trained(parameters, module.B.Name));
            if (module.IsEmbedding)
            {
                a.zero_();
                b.copy_(Drawn(number, generator => randn(module.B.Shape, ScalarType.Float32, generator: generator)));
                network.EmbeddingAdapter = new EmbeddingAdapter(a, b, module.Scale);
            }
            else
            {
                a.copy_(Drawn(number, generator => (rand(module.A.Shape, ScalarType.Float32, generator: generator) * Kept(2) - Kept(1)) / Kept(Math.Sqrt(module.A.Shape[1]))));
                b.zero_();
                linear.Add((module.Name, new LinearAdapter(a, b, module.Scale, Dropout, number)));
            }
        }

        network.Attach(linear);
    }

    /// <inheritdoc/>
    public void Dispose() => trained.ForEach(parameter => parameter.Dispose());

    /// <summary>In this network a tied embedding is one parameter, so training it whole trains the head too.</summary>
    private static AdapterConfig Tied(LlamaConfig config, AdapterConfig adapters) =>
        config.TieWordEmbeddings && !adapters.EnsureWeightTying && adapters.ModulesToSave.Any(name => LlamaParameters.Embedding.Contains(name + '.', StringComparison.Ordinal))
            ? adapters with { EnsureWeightTying = true, ModulesToSave = [.. adapters.ModulesToSave.Where(name => name != WeightTying.Head), WeightTying.Head] }
            : adapters;

    /// <summary>PEFT takes names that match nothing without a word; in a configuration they are mistakes.</summary>
    private void CheckFound(LlamaConfig config, AdapterConfig adapters)
    {
        if (config.TieWordEmbeddings && Tensors.ModulesToSave.Any(saved => saved.Name == LlamaParameters.Head))
        {
            throw new UserException("modules_to_save: this model has no lm_head to train: its head is the embedding; name embed_tokens");
        }

        if (config.Quantization is not null && Tensors.ModulesToSave.FirstOrDefault(saved => LlamaParameters.IsProjection(saved.Name, saved.Shape)).Name is { } quantized)
        {
            throw new UserException($"modules_to_save: {quantized} is in 4 bits (quantization: nf4) and cannot be trained whole; give the module an adapter with lora_target_modules");
        }

        Check("modules_to_save", adapters.ModulesToSave.Where(name => name != WeightTying.Head || !Config.EnsureWeightTying), name => Tensors.ModulesToSave.Any(saved => saved.Name.Contains(name + '.', StringComparison.Ordinal)));
        Check("lora_target_modules", adapters.TargetModules.Names, name => Tensors.TargetModules.Any(module => ModuleSelection.IsSuffix(name, module.Name)));

        void Check(string key, IEnumerable<string> names, Func<string, bool> isFound)
        {
            if (names.Where(name => !isFound(name)).ToList() is { Count: > 0 } missing)
            {
                var known = LlamaParameters.Of(config).Select(parameter => parameter.Name.Split('.')[^2]).Distinct();
                throw new UserException($"{key}: this model has no {string.Join(", ", missing)} to train; its modules are {string.Join(", ", known)}");
            }
        }
    }

    private Tensor Drawn(int adapter, Func<Generator, Tensor> draw)
    {
        using var generator = new Generator(new KeyedRandom(seed, "lora-init", adapter).NextBits() >> 1);
        return draw(generator);
    }

    private Parameter Trained(FlatParameters parameters, string name)
    {
        var parameter = new Parameter(parameters.View(name).DetachFromDisposeScope(), requires_grad: false);
        trained.Add(parameter);
        parameters.Attach([(name, parameter)]);
        return parameter;
    }

    /// <summary>The adapter of a linear layer.</summary>
    private sealed class LinearAdapter(Parameter a, Parameter b, double scale, LoraDropout dropout, int number) : ILinearAdapter
    {
        // a [r, in], b [out, r]

        public void AddForward(Tensor x, Tensor output, long firstToken, OutputRange outputs)
        {
            using var scope = NewDisposeScope();
            var reduced = dropout.Apply(x, number, firstToken).mm(a.t()).mul_(Kept(scale)); // [n, r]
            Kernels.MatmulAdded(output, reduced, outputs.Of(b).t(), output);
        }

        public void AddBackward(Tensor x, Tensor gradient, Tensor inputGradient, long firstToken, OutputRange outputs)
        {
            using var scope = NewDisposeScope();
            var dropped = dropout.Apply(x, number, firstToken); // [n, in]
            var reduced = dropped.mm(a.t()); // [n, r]
            outputs.Of(b.grad!).add_(gradient.t().mm(reduced), Kept(scale));
            var reducedGradient = gradient.mm(outputs.Of(b)).mul_(Kept(scale)); // [n, r]
            a.grad!.add_(reducedGradient.t().mm(dropped));
            inputGradient.add_(dropout.Apply(reducedGradient.mm(a), number, firstToken));
        }
    }

    /// <summary>The adapter of the embedding. Tokens are not dropped.</summary>
    private sealed class EmbeddingAdapter(Parameter a, Parameter b, double scale) : IEmbeddingAdapter
    {
        // a [r, V], b [C, r]

        public void AddForward(Tensor tokens, Tensor output)
        {
            using var scope = NewDisposeScope();
            Kernels.MatmulAdded(output, Rows(tokens).mul_(Kept(scale)), b.t(), output);
        }

        public void AddBackward(Tensor tokens, Tensor gradient)
        {
            using var scope = NewDisposeScope();
            b.grad!.add_(gradient.t().mm(Rows(tokens)), Kept(scale));
            Kernels.EmbeddingBackward(gradient.mm(b).mul_(Kept(scale)), tokens, a.grad!.t());
        }

        private Tensor Rows(Tensor tokens) => a.index_select(1, tokens).t(); // [n, r]
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
