using System.Text.RegularExpressions;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.PositionIds;
using CutoffLen.Training;

namespace CutoffLen.Configuration;

/// <summary>Checks of a whole configuration: texts with a grammar of their own, and keys that must fit together.</summary>
public static partial class RunConfigCheck
{
    /// <summary>Checks a configuration that was not read by <see cref="RunConfigReader"/>.</summary>
    /// <exception cref="UserException">Everything that is wrong, a line each.</exception>
    public static void Check(RunConfig config)
    {
        var values = ConfigKeys.All.SelectMany(key => Refusals(() => key.Check(config))).ToList();
        if ((values.Count > 0 ? values : Problems(config)) is { Count: > 0 } problems)
        {
            throw new UserException(string.Join('\n', problems));
        }
    }

    /// <summary>Refuses a run that lacks what it needs.</summary>
    /// <param name="run">The verb of the command line.</param>
    /// <param name="needs">Whether each is missing, and what it is.</param>
    /// <exception cref="UserException">What is missing, a line each.</exception>
    public static void Require(string run, params (bool IsMissing, string What)[] needs)
    {
        if (needs.Where(need => need.IsMissing).Select(need => $"  {need.What}").ToList() is { Count: > 0 } missing)
        {
            throw new UserException($"{run} needs, as options or keys of --config:\n{string.Join('\n', missing)}");
        }
    }

    /// <summary>Everything that is wrong, a sentence each.</summary>
    internal static IReadOnlyList<string> Problems(RunConfig config) =>
    [
        .. Grammar("rope", () => PositionMethods.Parse(config.Model.Rope)),
        .. Grammar("positions", () => PositionIdSamplers.Parse(config.Data.Positions)),
        .. Grammar("protocol", () => PerplexityProtocols.Parse(config.Evaluation.Protocol, config.Evaluation.Stride)),
        .. Grammar("eval_protocol", () => PerplexityProtocols.Parse(config.Evaluation.EvalProtocol)),
        .. Device(config.Model.Device),
        .. Target(config.Data),
        .. Accumulation(config.Training),
        .. config.Data.CutoffLen is { } cutoff ? Refusals(() => config.Training.AccumulationSteps(cutoff)) : [],
        .. Adapters(config),
        .. Sweep(config),
    ];

    private static IEnumerable<string> Grammar(string key, Action parse) => Refusals(parse).Select(fault => $"{key}: {fault}");

    private static IEnumerable<string> Refusals(Action check)
    {
        try
        {
            check();
            return [];
        }
        catch (UserException fault)
        {
            return [fault.Message];
        }
    }

    private static IEnumerable<string> Device(string device)
    {
        if (!DeviceName().IsMatch(device))
        {
            yield return $"device: '{device}' is not one of auto, cpu, cuda, cuda:N";
        }
    }

    private static IEnumerable<string> Target(DataConfig data)
    {
        if (data.TargetLen < data.CutoffLen)
        {
            yield return $"target_len: {data.TargetLen} is shorter than cutoff_len {data.CutoffLen}; positions must reach at least as far as a sequence";
        }

        if (data.TargetLen > data.CutoffLen && data.Positions == "plain")
        {
            yield return $"target_len: {data.TargetLen} is longer than cutoff_len {data.CutoffLen}, but positions: plain never reach beyond a sequence; use positions: pose, or leave target_len out";
        }
    }

    private static IEnumerable<string> Accumulation(TrainingConfig training)
    {
        if (training.TokensPerStep is not null && training.GradientAccumulationSteps > 1)
        {
            yield return "tokens_per_step and gradient_accumulation_steps say the same; give one of them";
        }
    }

    private static IEnumerable<string> Adapters(RunConfig config)
    {
        if (config.Training.Method == TrainingMethod.Lora && config.Lora.LoraTargetModules.Count == 0)
        {
            return ["lora_target_modules: the list is empty; with method: lora at least one projection needs adapters"];
        }

        return Refusals(() => ModuleSelection.Of(config.Lora.LoraTargetModules).Matcher("lora_target_modules"));
    }

    private static List<string> Sweep(RunConfig config)
    {
        var sweep = config.Sweep;
        var grammar = sweep.Ropes.SelectMany(row => Grammar("ropes", () => PositionMethods.Parse(row.Rope)))
            .Concat(sweep.Ropes.Where(row => row.Positions is not null).SelectMany(row => Grammar("ropes", () => PositionIdSamplers.Parse(row.Positions!))))
            .Concat((sweep.FinetuneRopes ?? []).SelectMany(rope => Grammar("finetune_ropes", () => PositionMethods.Parse(rope)))).ToList();
        if (grammar.Count > 0)
        {
            return grammar;
        }

        var known = sweep.Ropes.Select(row => PositionMethods.Parse(row.Rope)).ToHashSet();
        return
        [
            .. (sweep.FinetuneRopes ?? []).Where(rope => !known.Contains(PositionMethods.Parse(rope)))
                .Select(rope => $"finetune_ropes: '{rope}' is not one of ropes: {string.Join(", ", sweep.Ropes.Select(row => row.Rope))}"),
            .. sweep.Cutoffs.SelectMany(cutoff => Refusals(() => config.Training.AccumulationSteps(cutoff))).Select(fault => $"cutoffs: {fault}"),
            .. from target in sweep.Ropes.Select(row => row.TargetLen ?? config.Data.TargetLen).DefaultIfEmpty(config.Data.TargetLen).Distinct()
               from cutoff in sweep.Cutoffs
               where target < cutoff
               select $"target_len: {target} is shorter than {cutoff} of cutoffs; positions must reach at least as far as a sequence",
        ];
    }

    [GeneratedRegex(@"^(auto|cpu|cuda(:[0-9]{1,4})?)\z")]
    private static partial Regex DeviceName();
}
