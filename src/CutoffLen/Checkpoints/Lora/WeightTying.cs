using CutoffLen.Common;
using CutoffLen.Models.Llama;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>
/// PEFT's ensure_weight_tying (LoraModel._add_modules_to_save_to_tie, _add_targets_to_tie): on a base model that ties
/// embedding and head, both get the embedding's trained weight or adapter.
/// </summary>
/// <param name="Adapters">The settings with the embedding in the head's place.</param>
/// <param name="SavesHead">Whether the head is the embedding that modules_to_save trains.</param>
/// <param name="AdaptsHead">Whether the head has the embedding's adapter.</param>
internal sealed record WeightTying(AdapterConfig Adapters, bool SavesHead, bool AdaptsHead)
{
    public const string Embedding = "model.embed_tokens";
    public const string Head = "lm_head";

    private static readonly string[] LastNames = ["embed_tokens", "lm_head"];

    /// <summary>Whether the head follows the embedding.</summary>
    public bool Ties => SavesHead || AdaptsHead;

    public static WeightTying Of(LlamaConfig config, AdapterConfig adapters)
    {
        if (!config.TieWordEmbeddings || !adapters.EnsureWeightTying)
        {
            return new WeightTying(adapters, false, false);
        }

        if (adapters.ModulesToSave.Any(IsTied))
        {
            return new WeightTying(adapters with { ModulesToSave = WithEmbedding("modules_to_save", adapters.ModulesToSave) }, SavesHead: true, AdaptsHead: false);
        }

        const string key = "target_modules";
        var targets = adapters.TargetModules;
        if (!(targets.Pattern is { } pattern ? LastNames.Any(ModulePattern.Full(key, pattern).Matches) : targets.Names.Any(IsTied)))
        {
            return new WeightTying(adapters, false, false);
        }

        if (adapters.UseDora || adapters.BaseChange != BaseChange.None)
        {
            throw new UserException("ensure_weight_tying goes neither with use_dora nor with this init_lora_weights where embedding or head get adapters");
        }

        targets = targets.Pattern is null
            ? ModuleSelection.Named(WithEmbedding(key, targets.Names))
            : ModuleSelection.Matching($@"(?:{targets.Pattern}|^model\.embed_tokens$)");
        return new WeightTying(adapters with { TargetModules = targets }, SavesHead: false, AdaptsHead: true);
    }

    private static bool IsTied(string name) => LastNames.Contains(name[(name.LastIndexOf('.') + 1)..]);

    /// <summary>The names with the embedding, without the first that means the head.</summary>
    private static List<string> WithEmbedding(string key, IReadOnlyList<string> names)
    {
        var tied = names.Append(Embedding).ToList();
        if (tied.FindIndex(name => ModulePattern.Part(key, name).Matches(Head)) is >= 0 and var at)
        {
            tied.RemoveAt(at);
        }

        return tied;
    }
}
