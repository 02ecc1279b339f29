using CutoffLen.Common;
using CutoffLen.Models.Llama;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>
/// The tensors of an adapter, found in a model as PEFT finds them (tuners_utils.check_target_module_exists,
/// other.set_additional_trainable_modules, other.get_pattern_key).
/// </summary>
/// <param name="TargetModules">The modules with adapters.</param>
/// <param name="ModulesToSave">The parameters that are trained whole, with their shapes.</param>
public sealed record AdapterTensors(IReadOnlyList<LoraModule> TargetModules, IReadOnlyList<(string Name, long[] Shape)> ModulesToSave)
{
    private const string Targets = "target_modules";
    private const string Saved = "modules_to_save";

    /// <summary>The head where it has the embedding's adapter, transposed; null elsewhere.</summary>
    internal LoraModule? TiedHead { get; private init; }

    /// <summary>Whether embedding and head are one weight in the base model and stay one.</summary>
    internal bool KeepsTie { get; private init; }

    /// <summary>The tensors for a model.</summary>
    /// <exception cref="UserException">PEFT would find no such adapters in the model.</exception>
    public static AdapterTensors Of(LlamaConfig config, AdapterConfig adapters)
    {
        var tying = WeightTying.Of(config, adapters);
        var parameters = LlamaParameters.Of(config with { TieWordEmbeddings = false }).ToList();
        var modules = parameters.SelectMany(parameter => Ancestors(parameter.Name)).Distinct().ToList();

        var saved = modules.Where(module => tying.Adapters.ModulesToSave.Any(name => module.EndsWith(name, StringComparison.Ordinal))
            && !(tying.SavesHead && module == WeightTying.Head)).ToList();
        var matcher = new ModuleMatcher(tying.Adapters, parameters);
        var targets = modules.Where(module => matcher.IsTarget(module) && !(tying.AdaptsHead && module == WeightTying.Head)).Select(matcher.Module).ToList();
        Check(targets, saved, tying);

        var savedParameters = parameters.Where(parameter => saved.Any(module => IsIn(parameter.Name, module))).ToList();
        var touchesTie = targets.Select(module => module.Weight).Concat(savedParameters.Select(parameter => parameter.Name))
            .Any(name => name is LlamaParameters.Embedding or LlamaParameters.Head);
        return new AdapterTensors(targets, savedParameters)
        {
            TiedHead = tying.AdaptsHead ? matcher.TiedHead(targets) : null,
            KeepsTie = config.TieWordEmbeddings && (tying.SavesHead || tying.AdaptsHead || !touchesTie),
        };
    }

    private static void Check(List<LoraModule> targets, List<string> saved, WeightTying tying)
    {
        if (saved.Find(module => saved.Exists(other => IsIn(module, other))) is { } inner)
        {
            throw new UserException($"{Saved}: {inner} lies in another module that is saved; name one of them");
        }

        if (targets.Find(module => saved.Exists(other => other == module.Name || IsIn(module.Name, other))) is { } both)
        {
            throw new UserException($"{Saved}: {both.Name} is saved whole and gets an adapter from {Targets}; name it in one of them");
        }

        if (targets.Count == 0)
        {
            throw new UserException($"{Targets}: no module of this model gets an adapter from {string.Join(", ", tying.Adapters.TargetModules.Texts)}");
        }

        if (tying.SavesHead && targets.Exists(module => module.Name == WeightTying.Head))
        {
            throw new UserException($"{Targets}: {WeightTying.Head} is tied to the embedding, which is in {Saved}, and gets no adapter of its own");
        }
    }

    /// <summary>The modules that a parameter lies in: model, model.layers, ..., model.layers.0.mlp.up_proj.</summary>
    private static IEnumerable<string> Ancestors(string parameter)
    {
        for (var dot = parameter.IndexOf('.'); dot >= 0; dot = parameter.IndexOf('.', dot + 1))
        {
            yield return parameter[..dot];
        }
    }

    private static bool IsIn(string name, string module) =>
        name.Length > module.Length && name[module.Length] == '.' && name.StartsWith(module, StringComparison.Ordinal);

    /// <summary>Which modules get adapters, and of what rank and scale.</summary>
    private sealed class ModuleMatcher
    {
        private readonly AdapterConfig adapters;
        private readonly Dictionary<string, long[]> shapes;
        private readonly List<(ModulePattern Pattern, int R)> ranks;
        private readonly List<(ModulePattern Pattern, double Alpha)> alphas;

        public ModuleMatcher(AdapterConfig adapters, IEnumerable<(string Name, long[] Shape)> parameters)
        {
            this.adapters = adapters;
            shapes = parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Shape, StringComparer.Ordinal);
            ranks = [.. adapters.RankPattern.Select(pattern => (ModulePattern.Suffix("rank_pattern", pattern.Pattern), pattern.R))];
            alphas = [.. adapters.AlphaPattern.Select(pattern => (ModulePattern.Suffix("alpha_pattern", pattern.Pattern), pattern.LoraAlpha))];
            IsTarget = Target();
        }

        /// <summary>PEFT's check_target_module_exists.</summary>
        public Func<string, bool> IsTarget { get; }

        public LoraModule Module(string name)
        {
            if (!IsMatrix(name))
            {
                throw new UserException($"{Targets}: {name} is neither a linear layer nor the embedding, and no other module can have an adapter");
            }

            if (adapters.LoraBias && !shapes.ContainsKey(name + ".bias"))
            {
                throw new UserException($"lora_bias: {name} has no bias in the base model, so the adapter's cannot be added to it");
            }

            var rank = ranks.Where(pattern => pattern.Pattern.Matches(name)).Select(pattern => (int?)pattern.R).FirstOrDefault() ?? adapters.R;
            var alpha = alphas.Where(pattern => pattern.Pattern.Matches(name)).Select(pattern => (double?)pattern.Alpha).FirstOrDefault() ?? adapters.LoraAlpha;
            return new LoraModule(name, shapes[name + ".weight"], rank, adapters.ScaleOf(alpha, rank));
        }

        public LoraModule TiedHead(List<LoraModule> targets)
        {
            var embedding = targets.Find(module => module.IsEmbedding)
                ?? throw new UserException($"ensure_weight_tying: {WeightTying.Embedding} gets no adapter that {WeightTying.Head} could have too");
            var head = Module(WeightTying.Head);
            return (head.R, head.Scale) == (embedding.R, embedding.Scale)
                ? head
                : throw new UserException("ensure_weight_tying: rank_pattern or alpha_pattern give lm_head another rank or scale than the embedding, whose adapter it has");
        }

        private Func<string, bool> Target()
        {
            var (targets, layers) = (adapters.TargetModules, adapters.LayersToTransform);
            var isExcluded = adapters.ExcludeModules?.Matcher("exclude_modules") ?? (_ => false);
            var saved = adapters.ModulesToSave.Select(name => ModulePattern.Part(Saved, name)).ToList();
            var isNamed = targets.IsAllLinear
                ? name => IsMatrix(name) && name is not (WeightTying.Embedding or WeightTying.Head)
                : targets.Matcher(Targets);
            var indexes = (adapters.LayersPattern is { Count: > 0 } patterns ? patterns : ["[^.]*"])
                .Select(pattern => ModulePattern.LayerIndex("layers_pattern", pattern)).ToList();
            return name => !isExcluded(name) && !saved.Exists(part => part.Matches(name)) && isNamed(name)
                // A module that is named whole is a target in whatever layer.
                && (layers is null || targets.Names.Contains(name) || (LayerOf(name) is { } layer && layers.Contains(layer)));

            int? LayerOf(string name) => indexes.Select(pattern => pattern.IndexIn(name)).FirstOrDefault(index => index is not null);
        }

        private bool IsMatrix(string module) => shapes.GetValueOrDefault(module + ".weight") is { Length: 2 };
    }
}
